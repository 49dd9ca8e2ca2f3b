package netcall

import (
	"cmp"
	"encoding/binary"
	"math"

	"golang.org/x/sys/unix"
)

// The kernel's structures, on 64 bits.
const (
	iovecSize   = 16
	msghdrSize  = unix.SizeofMsghdr
	mmsghdrSize = msghdrSize + 8 // with the length that was sent
	maxParts    = 1024           // UIO_MAXIOV, also of messages in a sendmmsg
	maxTotal    = math.MaxInt32 &^ 0xfff
)

// A part is a range of the task's memory.
type part struct {
	address uint64
	length  int
}

// A message is what a task wants to send. Where it goes was copied and judged; the data stay in the task's memory until
// they are sent, as they do in the kernel.
type message struct {
	to      []byte // an address for the kernel, nil for none
	path    string // or the path of a Unix socket
	parts   []part
	total   int
	control []byte // to be given with the first byte
	numbers []int  // where in it there are descriptors of the task
	sent    int
}

// newMessage copies and judges where a message goes. size is 0 where there is no address.
func (c *call) newMessage(pointer uint64, size int) (*message, error) {
	if size == 0 || pointer == 0 {
		return &message{}, cmp.Or(c.mayUse(nil), c.maySend())
	}
	switch {
	case c.socket.transport() != 0 && c.socket.kind == unix.SOCK_STREAM:
		return &message{}, nil // TCP does not look at it
	case c.socket.domain == unix.AF_UNIX && c.socket.kind == unix.SOCK_SEQPACKET:
		return &message{}, nil // nor does this
	case c.socket.domain == unix.AF_UNIX && c.socket.kind == unix.SOCK_STREAM:
		return nil, unix.EISCONN
	case c.socket.domain != unix.AF_UNIX && c.socket.transport() == 0:
		return nil, errDenied
	}
	raw, err := c.readRaw(pointer, size)
	if err != nil {
		return nil, err
	}
	if c.socket.domain == unix.AF_UNIX {
		c.path, err = c.parsePath(raw)
		return &message{path: c.path}, err
	}
	if binary.NativeEndian.Uint16(raw) == unix.AF_UNSPEC {
		if c.socket.domain == unix.AF_INET6 {
			return &message{}, nil // as if there were none, see udpv6_sendmsg in the kernel
		}
		binary.NativeEndian.PutUint16(raw, unix.AF_INET) // what it stands for, see udp_sendmsg
	}
	to, err := parseAddress(raw)
	if err != nil {
		return nil, err
	}
	return &message{to: to.raw}, c.mayReach(to)
}

// maySend refuses kinds of sockets that no sandbox can make, and that may lead anywhere without an address.
func (c *call) maySend() error {
	switch c.socket.domain {
	case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6:
		return nil
	}
	return errDenied
}

// readMessage copies a struct msghdr and what it points to, except for the data.
func (c *call) readMessage(pointer uint64) (*message, error) {
	header := make([]byte, msghdrSize)
	if err := c.read(header, pointer); err != nil {
		return nil, err
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(header[at:]) }
	size := int(int32(binary.NativeEndian.Uint32(header[8:])))
	if size < 0 {
		return nil, unix.EINVAL
	}
	m, err := c.newMessage(word(0), min(size, largestSize))
	if err != nil {
		return nil, err
	}
	if err := c.readParts(m, word(16), word(24)); err != nil {
		return nil, err
	}
	if length := word(40); length > 0 {
		err = c.readControl(m, word(32), length)
	}
	return m, err
}

func (c *call) readParts(m *message, pointer, count uint64) error {
	if count > maxParts {
		return unix.EMSGSIZE
	}
	list := make([]byte, count*iovecSize)
	if err := c.read(list, pointer); err != nil {
		return err
	}
	return m.addAll(list)
}

// addAll appends the parts of an array of struct iovec.
func (m *message) addAll(list []byte) error {
	for ; len(list) > 0; list = list[iovecSize:] {
		length := binary.NativeEndian.Uint64(list[8:])
		if int64(length) < 0 {
			return unix.EINVAL
		}
		m.add(binary.NativeEndian.Uint64(list), length)
	}
	return nil
}

// add appends a part, as far as the kernel takes it.
func (m *message) add(address, length uint64) {
	length = min(length, uint64(maxTotal-m.total))
	m.parts = append(m.parts, part{address, int(length)})
	m.total += int(length)
}

// next copies up to limit bytes of what is not sent yet.
func (c *call) next(m *message, limit int) ([]byte, error) {
	data := make([]byte, min(limit, m.total-m.sent))
	skip, filled := m.sent, 0
	for _, p := range m.parts {
		if skip >= p.length {
			skip -= p.length
			continue
		}
		length := min(p.length-skip, len(data)-filled)
		if err := c.read(data[filled:filled+length], p.address+uint64(skip)); err != nil {
			return nil, err
		}
		filled, skip = filled+length, 0
	}
	return data, nil
}

// read fills a buffer from the task's memory.
func (c *call) read(buffer []byte, pointer uint64) error {
	if count, err := c.n.Read(buffer, pointer); err != nil || count != len(buffer) {
		return unix.EFAULT
	}
	return nil
}
