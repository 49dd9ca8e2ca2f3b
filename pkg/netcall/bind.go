package netcall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// binding is bind(2). Its address is not one of a peer: the unspecified ones are every address of this machine.
type binding struct{ to []byte }

func (c *call) newBind(args [6]uint64) (operation, error) {
	raw, err := c.readRaw(args[1], int(int32(args[2])))
	if err != nil {
		return nil, err
	}
	if c.socket.domain == unix.AF_UNIX {
		return c.newUnixBind(raw)
	}
	least := inetSize // also of AF_UNSPEC, which stands for IPv4, see inet_bind in the kernel
	switch binary.NativeEndian.Uint16(raw) {
	case unix.AF_INET6:
		least = inet6Least
	case unix.AF_INET, unix.AF_UNSPEC:
	case unix.AF_UNIX:
		return nil, errDenied
	default:
		return nil, unix.EAFNOSUPPORT
	}
	if len(raw) < least {
		return nil, unix.EINVAL
	}
	if !c.judge.MayBind(c.socket.transport(), binary.BigEndian.Uint16(raw[portAt:])) {
		return nil, errDenied
	}
	return &binding{raw}, nil
}

// try binds with the task's credentials: low ports are a privilege.
func (o *binding) try(c *call) (int64, error) {
	return 0, c.insideAs(func() error { return c.socket.bind(o.to) })
}

func (s *socket) bind(to []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_BIND, uintptr(s.fd), uintptr(unsafe.Pointer(&to[0])), uintptr(len(to)))
	if errno != 0 {
		return errno
	}
	return nil
}

func (o *binding) cutShort(_ *call, reason error) (int64, error) { return 0, reason }

// listening is listen(2), which binds a socket that has no port to one that the kernel picks.
type listening struct{ backlog int }

func (c *call) newListen(args [6]uint64) (operation, error) {
	return &listening{int(int32(args[1]))}, c.mayListen()
}

// mayListen leaves sockets other than TCP's to the kernel: those that it lets listen have been refused before.
func (c *call) mayListen() error {
	if c.socket.transport() != policy.TCP {
		return nil
	}
	port, err := c.socket.port()
	if err != nil {
		return err
	}
	if !c.judge.MayBind(policy.TCP, port) {
		return errDenied
	}
	return nil
}

// try listens, with the task's credentials, which clients of a Unix socket may ask for. Another thread may have dissolved
// a connection since, and the port with it, which is found out here.
func (o *listening) try(c *call) (int64, error) {
	if err := c.insideAs(func() error { return unix.Listen(c.socket.fd, o.backlog) }); err != nil {
		return 0, err
	}
	err := c.mayListen()
	if err != nil {
		err = errors.Join(err, unix.Shutdown(c.socket.fd, unix.SHUT_RDWR))
	}
	return 0, err
}

func (o *listening) cutShort(_ *call, reason error) (int64, error) { return 0, reason }

// port is the own port, 0 for none.
func (s *socket) port() (uint16, error) {
	name, err := unix.Getsockname(s.fd)
	if err != nil {
		return 0, err
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return uint16(name.Port), nil
	case *unix.SockaddrInet6:
		return uint16(name.Port), nil
	}
	return 0, fmt.Errorf("a socket's name is a %T: %w", name, unix.EAFNOSUPPORT)
}
