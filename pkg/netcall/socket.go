package netcall

import (
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/interrupt"
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
	fd, err := n.Descriptor(number)
	if err != nil {
		return nil, err
	}
	s := &socket{fd: fd}
	for option, value := range map[int]*int{unix.SO_DOMAIN: &s.domain, unix.SO_TYPE: &s.kind, unix.SO_PROTOCOL: &s.protocol} {
		if *value, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, option); err != nil {
			interrupt.Close(fd)
			return nil, err // ENOTSOCK
		}
	}
	return s, nil
}

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
