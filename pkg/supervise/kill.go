package supervise

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/proc"
)

// errLivesOn says that something was to be killed and was not.
var errLivesOn = errors.New("it was to be killed, and may live on")

// failed is what kill gives when it could not send the signal, nil when there is nobody to send it to any more.
func (a Action) failed(what string, pid int, err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err = fmt.Errorf("kill %s %d: %w", what, pid, err)
	if a.signal == unix.SIGKILL {
		err = errors.Join(err, errLivesOn)
	}
	return err
}

// kill sends the action's signal, if what it names is the sandbox's.
func (a Action) kill(n *notify.Notification, root int) error {
	if a.kind == kindKillProcess {
		return a.killProcess(n, root)
	}
	// A process's group is of its session, and the command has a session of its own: no group of a task of the sandbox
	// reaches outside.
	own, err := unix.Getpgid(n.Task())
	if err != nil {
		return a.failed("the process group of task", n.Task(), err)
	}
	if !n.Valid() {
		return nil // gone already
	}
	group := a.pid
	if group == 0 {
		group = own
	}
	if group != own {
		ours, err := descends(group, root)
		if err != nil {
			return a.failed("process group", group, err)
		}
		if !ours {
			return fmt.Errorf("kill process group %d: it is not the sandbox's", group)
		}
	}
	if err := unix.Kill(-group, a.signal); err != nil {
		return a.failed("process group", group, err)
	}
	return nil
}

func (a Action) killProcess(n *notify.Notification, root int) error {
	pid := a.pid
	if pid == 0 {
		pid = n.Task()
	}
	// A notification names a thread, and so may who decides about it.
	task := pid
	pid, _, err := proc.Lineage(task)
	if err != nil {
		return a.failed("the process of task", task, err)
	}
	if !n.Valid() {
		return nil // gone already
	}
	// The descriptor comes first: what is found out about the number afterwards is true of it, or it is dead.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return a.failed("process", pid, err)
	}
	defer unix.Close(fd)
	ours, err := descends(pid, root)
	if err != nil {
		return a.failed("process", pid, err)
	}
	if !ours {
		return fmt.Errorf("kill process %d: it is not the sandbox's", pid)
	}
	if err := unix.PidfdSendSignal(fd, a.signal, nil, 0); err != nil {
		return a.failed("process", pid, err)
	}
	return nil
}

// descends reports whether a process is a descendant of root. A group whose leader is gone has no process to ask about,
// and counts as foreign.
func descends(pid, root int) (bool, error) {
	for pid > 1 {
		_, parent, err := proc.Lineage(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if parent == root {
			return true, nil
		}
		pid = parent
	}
	return false, nil
}
