package launch

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
)

// signalDescendants sends a signal to every descendant of a process, for kernels without the signal scope. It looks
// until it finds none that is new, twice in a row: one may have been forked by a process that was just being signalled.
func signalDescendants(root int, signal unix.Signal) error {
	done := make(map[int]bool)
	for quiet := 0; quiet < 2; quiet++ {
		parents, err := parentsOfAll()
		if err != nil {
			return err
		}
		for pid := range parents {
			if done[pid] || !descends(pid, root, parents) {
				continue
			}
			quiet = -1
			if done[pid], err = signalChild(pid, parents[pid], signal); err != nil {
				return err
			}
		}
	}
	return nil
}

// signalChild sends a signal to a process, unless it is gone or has another parent by now.
func signalChild(pid, parent int, signal unix.Signal) (sent bool, err error) {
	// The descriptor comes first: what is found out about the number afterwards is true of it, or it is dead.
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(fd)
		if parentOf(pid) == parent {
			err = unix.PidfdSendSignal(fd, signal, nil, 0)
			sent = err == nil
		}
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("signal process %d: %w", pid, err)
	}
	return sent, nil
}

// parentsOfAll gives the parent of every process.
func parentsOfAll() (map[int]int, error) {
	folder, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("find the tree's processes: %w", err)
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("find the tree's processes: %w", err)
	}
	parents := make(map[int]int)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			parents[pid] = parentOf(pid)
		}
	}
	return parents, nil
}

// parentOf is the parent of a process, or 0 when it is gone.
func parentOf(pid int) int {
	_, parent, _ := proc.Lineage(pid)
	return parent
}

// descends reports whether a process is a descendant of root.
func descends(pid, root int, parents map[int]int) bool {
	for range len(parents) { // numbers that were reused meanwhile could make a circle
		if pid = parents[pid]; pid == root {
			return true
		}
	}
	return false
}
