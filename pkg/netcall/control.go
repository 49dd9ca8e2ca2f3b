package netcall

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"sandlock/pkg/interrupt"
)

// maxControl bounds the control messages of one message; the kernel has net.core.optmem_max for it.
const maxControl = 1 << 16

// maxPassed is SCM_MAX_FD of the kernel.
const maxPassed = 253

// passedControl are the control messages that are let through: none that leads elsewhere, as source routes do, or that
// claims to be somebody else.
var passedControl = map[[2]int32]bool{
	{unix.SOL_SOCKET, unix.SO_TIMESTAMPING}: true,
	{unix.SOL_IP, unix.IP_TTL}:              true,
	{unix.SOL_IP, unix.IP_TOS}:              true,
	{unix.SOL_IP, unix.IP_PKTINFO}:          true,
	{unix.SOL_IPV6, unix.IPV6_PKTINFO}:      true,
	{unix.SOL_IPV6, unix.IPV6_HOPLIMIT}:     true,
	{unix.SOL_IPV6, unix.IPV6_TCLASS}:       true,
	{unix.SOL_IPV6, unix.IPV6_DONTFRAG}:     true,
	{unix.SOL_UDP, unix.UDP_SEGMENT}:        true,
}

// A control is one control message, whole; see cmsg(3).
type control []byte

func (m control) kind() [2]int32 {
	return [2]int32{int32(binary.NativeEndian.Uint32(m[8:])), int32(binary.NativeEndian.Uint32(m[12:]))}
}

func (m control) data() []byte { return m[unix.SizeofCmsghdr:] }

// splitControl takes control messages apart as the kernel does. What is too short for one at the end is ignored.
func splitControl(raw []byte) (messages []control, err error) {
	for len(raw) >= unix.SizeofCmsghdr {
		size := binary.NativeEndian.Uint64(raw)
		if size < unix.SizeofCmsghdr || size > uint64(len(raw)) {
			return nil, unix.EINVAL
		}
		messages = append(messages, control(raw[:size:size]))
		raw = raw[min(unix.CmsgSpace(int(size)-unix.SizeofCmsghdr), len(raw)):]
	}
	return messages, nil
}

// readControl copies control messages: those that may be. Others are EPERM. What passes descriptors has them by the
// task's numbers.
func (c *call) readControl(m *message, pointer, length uint64) error {
	if length > maxControl {
		return unix.ENOBUFS
	}
	raw := make([]byte, length)
	if err := c.read(raw, pointer); err != nil {
		return err
	}
	messages, err := splitControl(raw)
	if err != nil {
		return err
	}
	for _, each := range messages {
		switch kind := each.kind(); {
		case passedControl[kind]:
		case kind == [2]int32{unix.SOL_SOCKET, unix.SCM_RIGHTS} && c.socket.domain == unix.AF_UNIX:
			for at := unix.SizeofCmsghdr; at+numberSize <= len(each); at += numberSize {
				m.numbers = append(m.numbers, len(m.control)+at)
			}
		default:
			return unix.EPERM
		}
		m.control = append(m.control, each...)
		m.control = append(m.control, make([]byte, unix.CmsgSpace(len(each.data()))-len(each))...)
	}
	if len(m.numbers) > maxPassed {
		return unix.EINVAL
	}
	return nil
}

// numberSize is the size of a descriptor's number.
const numberSize = 4

// lend does something with control messages in which duplicates of ours are in the place of the task's descriptors. They
// are made for each try, since a call that waits for its socket would keep as many from the host.
func (c *call) lend(m *message, do func(control []byte) error) error {
	if len(m.numbers) == 0 || m.sent > 0 {
		return do(m.control)
	}
	task, err := c.n.OpenTask()
	if err != nil {
		return err
	}
	defer unix.Close(task)
	control := slices.Clone(m.control)
	var lent []int
	defer func() { interrupt.Close(lent...) }()
	for _, at := range m.numbers {
		number := control[at : at+numberSize]
		fd, err := unix.PidfdGetfd(task, int(int32(binary.NativeEndian.Uint32(number))), 0)
		if err != nil {
			return err
		}
		lent = append(lent, fd)
		binary.NativeEndian.PutUint32(number, uint32(fd))
	}
	return do(control)
}
