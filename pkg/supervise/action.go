package supervise

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// An Action answers a notification. The zero value is Continue: no decision.
type Action struct {
	kind   kind
	errno  unix.Errno
	value  int64
	signal unix.Signal
	group  int
}

type kind uint8

const (
	kindContinue kind = iota
	kindFail
	kindReturn
	kindKill
)

// Continue leaves the decision to the next handler; when it was the last one, the kernel performs the call. Never
// decide like this about memory that the task can change: see notify.Notification.Continue.
func Continue() Action { return Action{} }

// Fail makes the call fail with an errno.
func Fail(errno unix.Errno) Action { return Action{kind: kindFail, errno: errno} }

// Return makes the call return a value without being performed.
func Return(value int64) Action { return Action{kind: kindReturn, value: value} }

// Kill sends a signal to a process group of the sandbox; 0 is the group of the task that made the call. Should the
// task survive it, the call fails with EPERM. A group that is not the sandbox's is not signalled.
func Kill(signal unix.Signal, group int) Action {
	return Action{kind: kindKill, signal: signal, group: group}
}

// IsContinue reports whether the action leaves the decision to the next handler.
func (a Action) IsContinue() bool { return a.kind == kindContinue }

// isKill reports whether the action ends what it is sent to.
func (a Action) isKill() bool { return a.kind == kindKill && a.signal == unix.SIGKILL }

// apply answers the notification. Errors of a task that is gone are none.
func (a Action) apply(n *notify.Notification, root int) error {
	switch a.kind {
	case kindContinue:
		return n.Continue()
	case kindFail:
		return n.Fail(a.errno)
	case kindReturn:
		return n.Return(a.value)
	case kindKill:
		return errors.Join(a.kill(n, root), n.Fail(unix.EPERM))
	}
	return errors.Join(fmt.Errorf("answer with action %d: no such kind", a.kind), n.Fail(unix.EPERM))
}

func (a Action) kill(n *notify.Notification, root int) error {
	group := a.group
	if group == 0 {
		own, err := unix.Getpgid(n.Task())
		if err != nil || !n.Valid() {
			return nil // gone already
		}
		group = own
	}
	if !descends(group, root) {
		return fmt.Errorf("kill process group %d: it is not the sandbox's", group)
	}
	if err := unix.Kill(-group, a.signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", group, err)
	}
	return nil
}

// descends reports whether a process is root or one of its descendants. A group whose leader is gone has no process
// to ask about, and counts as foreign.
func descends(pid, root int) bool {
	for pid > 1 {
		if pid == root {
			return true
		}
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return false
		}
		// The name, in parentheses, may hold anything; the parent is the second field after it.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 {
			return false
		}
		if pid, err = strconv.Atoi(fields[1]); err != nil {
			return false
		}
	}
	return false
}
