package netcall

import (
	"encoding/binary"
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// chunk is how much of a stream is copied and sent at a time.
	chunk = 1 << 18
	// maxDatagram bounds what is copied for a datagram. UDP takes 64 kB, a Unix socket what its buffer holds.
	maxDatagram = 1 << 25
	// turn is how much is sent before other calls get their turn, and perMessage what one counts beside its data.
	turn       = 1 << 20
	perMessage = 1 << 12
)

// sending is sendto, sendmsg, or sendmmsg with its vector.
type sending struct {
	flags   int
	message *message // that is being sent; nil: the next one of the vector
	vector  uint64
	count   int // of messages; 0: a single one
	done    int
}

func (c *call) newSendto(args [6]uint64) (operation, error) {
	o, err := newSending(args[3])
	if err != nil {
		return nil, err
	}
	if size := int(int32(args[5])); args[4] != 0 && (size < 0 || size > largestSize) {
		return nil, unix.EINVAL
	}
	if o.message, err = c.newMessage(args[4], int(int32(args[5]))); err != nil {
		return nil, err
	}
	o.message.add(args[1], args[2])
	return o, nil
}

func (c *call) newSendmsg(args [6]uint64) (operation, error) {
	o, err := newSending(args[2])
	if err != nil {
		return nil, err
	}
	o.message, err = c.readMessage(args[1])
	return o, err
}

// newSendmmsg judges the first message; the others are when their turn comes.
func (c *call) newSendmmsg(args [6]uint64) (operation, error) {
	o, err := newSending(args[3])
	if err != nil {
		return nil, err
	}
	o.vector, o.count = args[1], int(min(args[2]&0xffffffff, maxParts))
	if o.count == 0 {
		return nothing{}, nil
	}
	o.message, err = c.readMessage(o.vector)
	return o, err
}

func newSending(flags uint64) (*sending, error) {
	switch {
	case flags&unix.MSG_FASTOPEN != 0:
		return nil, unix.EOPNOTSUPP
	case flags&unix.MSG_ZEROCOPY != 0: // the memory is not ours; programs copy when there is none left for this
		return nil, unix.ENOBUFS
	}
	return &sending{flags: int(int32(flags))}, nil
}

// nothing is a call that does nothing.
type nothing struct{}

func (nothing) try(*call) (int64, error)                      { return 0, nil }
func (nothing) cutShort(_ *call, reason error) (int64, error) { return 0, reason }

func (o *sending) try(c *call) (int64, error) {
	left := turn
	for {
		if o.message == nil {
			var err error
			if o.message, err = c.readMessage(o.vector + uint64(o.done*mmsghdrSize)); err != nil {
				return o.result(err)
			}
		}
		m := o.message
		left -= perMessage
		if err := o.send(c, m, &left); err != nil && m.sent == 0 {
			return o.result(err)
		} else if errors.Is(err, errNotYet) {
			return 0, err
		}
		if o.count == 0 {
			return int64(m.sent), nil
		}
		if err := c.tellSent(o.vector+uint64(o.done*mmsghdrSize), m.sent); err != nil {
			return o.result(err)
		}
		o.done, o.message = o.done+1, nil
		switch {
		case o.done == o.count || m.sent < m.total:
			return int64(o.done), nil
		case left <= 0 && o.waits(c):
			return 0, errNotYet
		case left <= 0:
			return int64(o.done), nil
		}
	}
}

// result is what the task gets when a message fails: how many went before, if any did.
func (o *sending) result(err error) (int64, error) {
	if o.done > 0 && !errors.Is(err, errNotYet) {
		return int64(o.done), nil
	}
	return 0, err
}

// tellSent writes how much of a message was sent into its entry of the vector.
func (c *call) tellSent(entry uint64, sent int) error {
	return c.n.Write(binary.NativeEndian.AppendUint32(nil, uint32(sent)), entry+msghdrSize)
}

// cutShort gives what was sent before the wait ended.
func (o *sending) cutShort(c *call, reason error) (int64, error) {
	if reason == errTimeout {
		reason = unix.EAGAIN
	}
	switch m := o.message; {
	case m == nil || m.sent == 0:
		return o.result(reason)
	case o.count == 0:
		return int64(m.sent), nil
	default:
		if err := c.tellSent(o.vector+uint64(o.done*mmsghdrSize), m.sent); err != nil {
			return o.result(err)
		}
		return int64(o.done + 1), nil
	}
}

// send sends what is left of a message, as far as there is something left of the turn. errNotYet says that the kernel
// would go on.
func (o *sending) send(c *call, m *message, left *int) error {
	stream := c.socket.kind == unix.SOCK_STREAM
	limit := maxDatagram
	if stream {
		limit = chunk
	} else if m.total > maxDatagram {
		return unix.EMSGSIZE
	}
	for {
		data, err := c.next(m, limit)
		if err != nil {
			return err
		}
		var count int
		err = c.lend(m, func(control []byte) error {
			return c.identify(m, control, func(control []byte) error {
				return c.deliver(m, func(to []byte) (err error) {
					count, err = m.transmit(c.socket.fd, to, data, control, o.flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
					return err
				})
			})
		})
		switch {
		case errors.Is(err, unix.EAGAIN) && o.waits(c):
			return errNotYet
		case errors.Is(err, unix.EPIPE) && stream && m.sent == 0 && o.flags&unix.MSG_NOSIGNAL == 0:
			return errors.Join(err, c.n.BreakPipe())
		case err != nil:
			return err
		}
		c.moved = true
		m.sent, *left = m.sent+count, *left-count
		switch {
		case m.sent >= m.total || !stream:
			return nil
		case *left <= 0 && o.waits(c):
			return errNotYet
		case *left <= 0:
			return nil
		}
	}
}

// deliver does something with the address of a message where it may be used.
func (c *call) deliver(m *message, do func(to []byte) error) error {
	if m.path != "" {
		return c.reach(m.path, do)
	}
	return c.inside(func() error { return do(m.to) })
}

// waits reports whether the kernel would wait to send more.
func (o *sending) waits(c *call) bool {
	if o.flags&unix.MSG_DONTWAIT != 0 {
		return false
	}
	c.modes.Lock() // no connection is being started
	defer c.modes.Unlock()
	return !c.socket.nonblocking()
}

// transmit is sendmsg(2).
func (m *message) transmit(fd int, to, data, control []byte, flags int) (int, error) {
	part := unix.Iovec{Base: unsafe.SliceData(data)}
	part.SetLen(len(data))
	header := unix.Msghdr{Iov: &part}
	header.SetIovlen(1)
	if to != nil {
		header.Name, header.Namelen = &to[0], uint32(len(to))
	}
	if len(control) > 0 && m.sent == 0 {
		header.Control = &control[0]
		header.SetControllen(len(control))
	}
	count, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&header)), uintptr(flags))
	runtime.KeepAlive(data)
	if errno != 0 {
		return 0, errno
	}
	return int(count), nil
}
