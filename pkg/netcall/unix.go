package netcall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/landlock"
)

// Unix is what is granted of Unix sockets.
type Unix struct {
	Places *landlock.Sockets
	// Binder makes sockets. Its domain lets it do so at the places only: the kernel keeps the very text that a task binds
	// as the socket's name, and would follow it anew after a check.
	Binder *deputy.Deputy
}

// parsePath gives the path of a Unix address as the kernel reads it, up to a NUL byte or the end: see unix_validate_addr
// and unix_mkname_bsd. Abstract names are never granted.
func (c *call) parsePath(raw []byte) (string, error) {
	switch {
	case len(raw) <= familySize || len(raw) > unix.SizeofSockaddrUnix || binary.NativeEndian.Uint16(raw) != unix.AF_UNIX:
		return "", unix.EINVAL
	case c.unix == nil || raw[familySize] == 0:
		return "", errDenied
	}
	path, _, _ := bytes.Cut(raw[familySize:], []byte{0})
	return string(path), nil
}

// checkPath refuses a path that leads to what is not granted.
func (c *call) checkPath() error {
	if c.path == "" {
		return nil
	}
	return c.reach(c.path, func([]byte) error { return nil })
}

// reach finds what a path of the task's means, judges where that is, and does something as the task with an address that
// leads to it and to nothing else.
func (c *call) reach(path string, do func(to []byte) error) error {
	if !c.narrowing.MayReach(c.n.Task(), netip.Addr{}) {
		return errDenied
	}
	return c.deputy.UseFile(&c.n, path, func(name, link string) error {
		if !c.unix.Places.Grants(name) {
			return errDenied
		}
		return do(append(binary.NativeEndian.AppendUint16(nil, unix.AF_UNIX), link...))
	})
}

// reaching is connect(2) to a path.
type reaching struct{}

func (c *call) newUnixConnect(raw []byte) (operation, error) {
	if binary.NativeEndian.Uint16(raw) == unix.AF_UNSPEC && c.socket.kind == unix.SOCK_DGRAM {
		return &connecting{to: address{raw: raw}}, nil // dissolves a connection
	}
	var err error
	c.path, err = c.parsePath(raw)
	return reaching{}, err
}

// try connects. There is nothing to wait for but room in the backlog of who listens, and nothing tells of that: it is
// tried again from time to time, from the path on, as the kernel does.
func (reaching) try(c *call) (int64, error) {
	var waits bool
	err := c.reach(c.path, func(to []byte) (err error) {
		waits, err = c.withoutWaiting(func() error { return c.socket.connect(to) })
		return err
	})
	if waits && errors.Is(err, unix.EAGAIN) {
		err = errNotYet
	}
	return 0, err
}

func (reaching) cutShort(_ *call, reason error) (int64, error) {
	if reason == errTimeout {
		reason = unix.EAGAIN
	}
	return 0, reason
}

// making is bind(2) to a path, which makes the socket's file.
type making struct {
	to   []byte
	path string
}

func (c *call) newUnixBind(raw []byte) (operation, error) {
	if c.unix != nil && len(raw) == familySize && binary.NativeEndian.Uint16(raw) == unix.AF_UNIX {
		return &binding{raw}, nil // to a name that the kernel picks, at which nobody expects anything
	}
	path, err := c.parsePath(raw)
	return &making{raw, path}, err
}

// try binds: the domain judges.
func (o *making) try(c *call) (int64, error) {
	return 0, c.unix.Binder.InFolder(&c.n, o.path, func() error { return c.socket.bind(o.to) })
}

func (o *making) cutShort(_ *call, reason error) (int64, error) { return 0, reason }
