package netcall

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

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
	if waits && (errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EALREADY)) {
		o.waited = err
		return 0, errNotYet
	}
	return 0, err
}

func (s *socket) connect(to []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(&to[0])), uintptr(len(to)))
	if errno != 0 {
		return errno
	}
	return nil
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
