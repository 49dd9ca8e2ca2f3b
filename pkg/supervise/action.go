package supervise

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/interrupt"
	"sandlock/pkg/notify"
)

// An Action answers a notification. The zero value is no decision: like Continue from a handler, and the strictest
// answer, SIGKILL, as a Fallback.
type Action struct {
	kind   kind
	errno  unix.Errno
	value  int64
	signal unix.Signal
	pid    int
	fd     int
	target int
	flags  uint32
	owned  bool // the descriptor is closed once the answer is given
}

type kind uint8

const (
	kindNone kind = iota
	kindContinue
	kindFail
	kindReturn
	kindKillGroup
	kindKillProcess
	kindPlaceFD
	kindSendFD
	kindHold
)

// Continue leaves the decision to the next handler; when it was the last one, the kernel performs the call. Never
// decide like this about memory that the task can change: see notify.Notification.Continue.
func Continue() Action { return Action{kind: kindContinue} }

// Fail makes the call fail with an errno.
func Fail(errno unix.Errno) Action { return Action{kind: kindFail, errno: errno} }

// Return makes the call return a value without being performed.
func Return(value int64) Action { return Action{kind: kindReturn, value: value} }

// Kill sends a signal to a process group of the sandbox; 0 is the group of the task that made the call. Should the
// task survive it, the call fails with EPERM. A group that is not the sandbox's is not signalled.
func Kill(signal unix.Signal, group int) Action {
	return Action{kind: kindKillGroup, signal: signal, pid: group}
}

// KillProcess is Kill for one process of the sandbox; 0 is the one that made the call.
func KillProcess(signal unix.Signal, pid int) Action {
	return Action{kind: kindKillProcess, signal: signal, pid: pid}
}

// PlaceFD opens a copy of a descriptor of ours in the task, under the number target, and lets the kernel go on with the
// call. flags is 0 or O_CLOEXEC. Whoever decides keeps the descriptor, and may close it once the answer is given.
func PlaceFD(fd, target int, flags uint32) Action {
	return Action{kind: kindPlaceFD, fd: fd, target: target, flags: flags}
}

// SendFD makes the call return the number of a copy of a descriptor of ours in the task: see PlaceFD.
func SendFD(fd int, flags uint32) Action { return Action{kind: kindSendFD, fd: fd, flags: flags} }

// GiveFD is SendFD with a descriptor that is the action's from here on.
func GiveFD(fd int, flags uint32) Action {
	return Action{kind: kindSendFD, fd: fd, flags: flags, owned: true}
}

// Hold leaves the task waiting until Complete answers, or until it dies.
func Hold() Action { return Action{kind: kindHold} }

// IsContinue reports whether the action leaves the decision to the next handler.
func (a Action) IsContinue() bool { return a.kind == kindNone || a.kind == kindContinue }

// isKill reports whether the action ends what it is sent to.
func (a Action) isKill() bool {
	return (a.kind == kindKillGroup || a.kind == kindKillProcess) && a.signal == unix.SIGKILL
}

// apply answers the notification, and gives the number of a descriptor that the task got. That the task is gone is
// notify.ErrGone for actions with a descriptor, and no error otherwise. What lets the call go on is proceed.
//
// A descriptor that cannot be given is an errno for the task, never Continue: the call must not run unmediated.
func (a Action) apply(n *notify.Notification, root int, proceed func() error) (fd int, err error) {
	switch a.kind {
	case kindNone, kindContinue:
		return -1, proceed()
	case kindFail:
		return -1, n.Fail(a.errno)
	case kindReturn:
		return -1, n.Return(a.value)
	case kindKillGroup, kindKillProcess:
		return -1, errors.Join(a.kill(n, root), n.Fail(unix.EPERM))
	case kindPlaceFD:
		if err := n.PlaceFD(a.fd, a.target, a.flags); err != nil {
			return -1, errors.Join(err, n.Fail(notify.ErrnoOf(err)))
		}
		return a.target, proceed()
	case kindSendFD:
		fd, err := n.SendFD(a.fd, a.flags)
		if a.owned {
			interrupt.Close(a.fd)
		}
		if errors.Is(err, notify.ErrMisanswered) {
			return -1, errors.Join(err, Kill(unix.SIGKILL, 0).kill(n, root))
		}
		if err != nil {
			return -1, errors.Join(err, n.Fail(notify.ErrnoOf(err)))
		}
		return fd, nil
	}
	return -1, errors.Join(fmt.Errorf("answer with action %d: no such kind", a.kind), n.Fail(unix.EPERM))
}
