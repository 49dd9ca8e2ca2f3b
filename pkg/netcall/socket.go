package netcall

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
)

// A socket is a duplicate of one of a task's.
type socket struct {
	fd                     int
	domain, kind, protocol int
}

// take duplicates a task's socket; the caller closes it. The error is notify.ErrGone, or has the errno for the task.
func take(n *notify.Notification, number int) (*socket, error) {
	task, err := openTask(n)
	if err != nil {
		return nil, err
	}
	defer unix.Close(task)
	return takeFrom(task, number)
}

func takeFrom(task, number int) (*socket, error) {
	fd, err := unix.PidfdGetfd(task, number, 0)
	if err != nil {
		return nil, err
	}
	s := &socket{fd: fd}
	for option, value := range map[int]*int{unix.SO_DOMAIN: &s.domain, unix.SO_TYPE: &s.kind, unix.SO_PROTOCOL: &s.protocol} {
		if *value, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, option); err != nil {
			unix.Close(fd)
			return nil, err // ENOTSOCK
		}
	}
	return s, nil
}

// openTask opens the thread that makes a call, or its process where the kernel is older than 6.9.
func openTask(n *notify.Notification) (pidfd int, err error) {
	pidfd, err = unix.PidfdOpen(n.Task(), unix.PIDFD_THREAD)
	if errors.Is(err, unix.EINVAL) {
		var s status
		if s, err = statusOf(n.Task()); err == nil {
			pidfd, err = unix.PidfdOpen(s.process, 0)
		}
	}
	switch {
	case err == nil && n.Valid(): // it is the task, and no other of the same number
		return pidfd, nil
	case err == nil:
		unix.Close(pidfd)
		return -1, notify.ErrGone
	case !n.Valid():
		return -1, notify.ErrGone
	}
	return -1, fmt.Errorf("open task %d: %w", n.Task(), err)
}

func (s *socket) close() { unix.Close(s.fd) }

// transport is the protocol by whose rules a socket is judged; 0 for one that none is about.
func (s *socket) transport() policy.Protocols {
	if s.domain != unix.AF_INET && s.domain != unix.AF_INET6 {
		return 0
	}
	switch {
	case s.kind == unix.SOCK_STREAM && s.protocol == unix.IPPROTO_TCP:
		return policy.TCP
	case s.kind == unix.SOCK_DGRAM && s.protocol == unix.IPPROTO_UDP:
		return policy.UDP
	case s.kind == unix.SOCK_DGRAM && (s.protocol == unix.IPPROTO_ICMP || s.protocol == unix.IPPROTO_ICMPV6):
		return policy.ICMP
	}
	return 0
}

// nonblocking reports whether the task does not want to wait.
func (s *socket) nonblocking() bool {
	flags, err := unix.FcntlInt(uintptr(s.fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_NONBLOCK != 0
}

// patience is how long a call on the socket may wait to send; 0 is for ever.
func (s *socket) patience() time.Duration {
	limit, err := unix.GetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO)
	if err != nil {
		return 0
	}
	return time.Duration(limit.Nano())
}
