package seccomp

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Action is a filter's answer to one call: the program's return value.
type Action uint32

// The actions beside an errno.
const (
	Allow       Action = unix.SECCOMP_RET_ALLOW
	Notify      Action = unix.SECCOMP_RET_USER_NOTIF
	KillProcess Action = unix.SECCOMP_RET_KILL_PROCESS
)

// Errno returns the action that fails a call with an error number.
func Errno(e unix.Errno) Action {
	return unix.SECCOMP_RET_ERRNO | Action(e)&unix.SECCOMP_RET_DATA
}

// Denies says whether the call is neither made nor sent to the supervisor.
func (a Action) Denies() bool { return a != Allow && a != Notify }

func (a Action) String() string {
	switch a {
	case Allow:
		return "allow"
	case Notify:
		return "notify"
	case KillProcess:
		return "kill process"
	}
	return unix.ErrnoName(unix.Errno(a & unix.SECCOMP_RET_DATA))
}

// Verdict is what a filter answers to the calls of one number.
type Verdict struct {
	Action Action // the answer to the calls that no argument check singles out
	Reason string // who denies, where Action denies
	check  *check
}

// Denied says whether every call is denied: no handler would ever be asked.
func (v Verdict) Denied() bool { return v.Action.Denies() }

func (v Verdict) String() string {
	text := v.Action.String()
	if v.Reason != "" {
		text += " (" + v.Reason + ")"
	}
	if v.check != nil {
		text = fmt.Sprintf("%v if %s, else %s", v.check.then, v.check.when, text)
	}
	return text
}

// DeniedError reports a syscall in Spec.Notify that the filter would answer
// before the supervisor sees it.
type DeniedError struct {
	Number  int
	Name    string
	Verdict Verdict
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("syscall %s cannot be handled, the filter denies it: %v", e.Name, e.Verdict)
}
