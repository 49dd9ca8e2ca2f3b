package notify

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// OpenTask opens the thread that makes the call, or its process where the kernel is older than 6.9.
func (n *Notification) OpenTask() (pidfd int, err error) {
	pidfd, err = unix.PidfdOpen(n.Task(), unix.PIDFD_THREAD)
	if errors.Is(err, unix.EINVAL) {
		var s Status
		if s, err = n.Status(); err == nil {
			pidfd, err = unix.PidfdOpen(s.Process, 0)
		}
	}
	switch {
	case err == nil && n.Valid(): // it is the task, and no other of the same number
		return pidfd, nil
	case err == nil:
		unix.Close(pidfd)
		return -1, ErrGone
	case !n.Valid():
		return -1, ErrGone
	}
	return -1, fmt.Errorf("open task %d: %w", n.Task(), err)
}

// Descriptor duplicates a descriptor of the task, which the caller closes. Both are one open file: they share its
// position and its flags. The error is ErrGone, or has the errno for the task.
func (n *Notification) Descriptor(number int) (fd int, err error) {
	task, err := n.OpenTask()
	if err != nil {
		return -1, err
	}
	defer unix.Close(task)
	return unix.PidfdGetfd(task, number, 0)
}
