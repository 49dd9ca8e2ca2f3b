package netcall

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/interrupt"
	"sandlock/pkg/policy"
)

// connecting is connect(2).
type connecting struct {
	to     address
	waited error // what the kernel said while the connection was being made
}

func (c *call) newConnect(args [6]uint64) (operation, error) {
	raw, err := c.readRaw(args[1], int(int32(args[2])))
	if err != nil {
		return nil, err
	}
	if c.socket.domain == unix.AF_UNIX {
		return c.newUnixConnect(raw)
	}
	to, err := parseAddress(raw)
	if err != nil {
		return nil, err
	}
	if to.family == unix.AF_UNSPEC && c.socket.transport() != 0 {
		return &connecting{to: to}, nil // to dissolve a connection leads nowhere
	}
	return &connecting{to: to}, c.mayReach(to)
}

// mayReach refuses peers that are not granted, and sockets that no rule is about.
func (c *call) mayReach(to address) error {
	transport := c.socket.transport()
	switch {
	case transport == 0:
		return errDenied
	case !to.peer.IsValid():
		return unix.EAFNOSUPPORT
	case !c.judge.MayReach(transport, to.peer), !c.narrowing.MayReach(c.n.Task(), to.peer.Addr()):
		return errDenied
	}
	return nil
}

// try connects. Only TCP takes time: once the socket is ready, connecting again gives what came of it.
func (o *connecting) try(c *call) (int64, error) {
	connect := func() error { return c.inside(func() error { return c.socket.connect(o.to.raw) }) }
	if c.socket.transport() != policy.TCP {
		return 0, connect()
	}
	waits, err := c.withoutWaiting(connect)
	switch {
	case errors.Is(err, errNotYet):
		o.waited = unix.EINPROGRESS
	case waits && (errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EALREADY)):
		o.waited, err = err, errNotYet
	}
	return 0, err
}

// connect is connect(2). It sleeps where a thread of the task has just made the socket a blocking one: that is ended, and
// errNotYet.
func (s *socket) connect(to []byte) error {
	var errno unix.Errno
	kept := -1
	interrupt.Sleeps(func() {
		_, _, errno = unix.Syscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(&to[0])), uintptr(len(to)))
	}, func() {
		if kept < 0 {
			kept = s.withdraw()
		}
	})
	if kept >= 0 {
		unix.Close(s.fd)
		s.fd = kept
	}
	switch {
	case errno == unix.EINTR || kept >= 0 && errno == unix.ENOTSOCK:
		return errNotYet
	case errno != 0:
		return errno
	}
	return nil
}

// withdraw puts something else in the place of the socket's descriptor, and gives another one for it: a call that sleeps
// on the socket is not restarted with it, whatever its flags are by then. It is -1 while we have no descriptors left.
func (s *socket) withdraw() (kept int) {
	other, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return -1
	}
	defer unix.Close(other)
	if kept, err = unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return -1
	}
	if err := unix.Dup3(other, s.fd, unix.O_CLOEXEC); err != nil {
		unix.Close(kept)
		return -1
	}
	return kept
}

// withoutWaiting does something while the socket is non-blocking, and reports whether the task would have waited.
func (c *call) withoutWaiting(do func() error) (waits bool, err error) {
	c.modes.Lock()
	defer c.modes.Unlock()
	if c.socket.nonblocking() {
		return false, do()
	}
	if err := c.socket.setNonblocking(true); err != nil {
		return true, err
	}
	defer c.socket.setNonblocking(false)
	return true, do()
}

func (o *connecting) cutShort(_ *call, reason error) (int64, error) {
	if reason == errTimeout {
		return 0, o.waited
	}
	return 0, reason
}

// inside does something on a thread of the sandbox's domain.
func (c *call) inside(do func() error) error {
	var err error
	if failed := c.deputy.Do(func() { err = do() }); failed != nil {
		return failed
	}
	return err
}

// insideAs is inside, with the task's credentials.
func (c *call) insideAs(do func() error) error {
	var err error
	if failed := c.deputy.DoAs(&c.n, func() { err = do() }); failed != nil {
		return failed
	}
	return err
}

// fionbio is FIONBIO of asm-generic/ioctls.h, which x/sys/unix lacks for Linux.
const fionbio = 0x5421

// setNonblocking changes nothing but the one flag, which all duplicates of the socket share: the task's other threads
// may see it for the time of a system call.
func (s *socket) setNonblocking(on bool) error {
	value := 0
	if on {
		value = 1
	}
	return unix.IoctlSetPointerInt(s.fd, fionbio, value)
}
