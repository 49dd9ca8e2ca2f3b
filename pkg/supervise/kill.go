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

// kill sends the action's signal, if what it names is the sandbox's.
func (a Action) kill(n *notify.Notification, root int) error {
	if a.kind == kindKillProcess {
		return a.killProcess(n, root)
	}
	// A process's group is of its session, and the command has a session of its own: no group of a task of the sandbox
	// reaches outside.
	own, err := unix.Getpgid(n.Task())
	if err != nil || !n.Valid() {
		return nil // gone already
	}
	group := a.pid
	if group == 0 {
		group = own
	}
	if group != own && !descends(group, root) {
		return fmt.Errorf("kill process group %d: it is not the sandbox's", group)
	}
	if err := unix.Kill(-group, a.signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", group, err)
	}
	return nil
}

func (a Action) killProcess(n *notify.Notification, root int) error {
	pid := a.pid
	if pid == 0 {
		pid = n.Task()
	}
	// A notification names a thread, and so may who decides about it.
	if pid = threadGroup(pid); pid == 0 || !n.Valid() {
		return nil // gone already
	}
	// The descriptor comes first: what is found out about the number afterwards is true of it, or it is dead.
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if !descends(pid, root) {
		return fmt.Errorf("kill process %d: it is not the sandbox's", pid)
	}
	if err := unix.PidfdSendSignal(fd, a.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// threadGroup is the process of a thread, or 0 when it is gone.
func threadGroup(task int) int {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(task) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "Tgid:"); found {
			pid, _ := strconv.Atoi(strings.TrimSpace(value))
			return pid
		}
	}
	return 0
}

// descends reports whether a process is a descendant of root. A group whose leader is gone has no process to ask about,
// and counts as foreign.
func descends(pid, root int) bool {
	for pid > 1 {
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
		if pid == root {
			return true
		}
	}
	return false
}
