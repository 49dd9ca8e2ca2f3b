package netcall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
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

// readControl copies control messages: those that may be, and descriptors of the task as duplicates. Others are EPERM.
func (c *call) readControl(pointer, length uint64) ([]byte, error) {
	if length > maxControl {
		return nil, unix.ENOBUFS
	}
	raw := make([]byte, length)
	if err := c.read(raw, pointer); err != nil {
		return nil, err
	}
	messages, err := splitControl(raw)
	if err != nil {
		return nil, err
	}
	var copied []byte
	for _, m := range messages {
		switch kind := m.kind(); {
		case passedControl[kind]:
		case kind == [2]int32{unix.SOL_SOCKET, unix.SCM_RIGHTS} && c.socket.domain == unix.AF_UNIX:
			if err := c.translate(m.data()); err != nil {
				return nil, err
			}
		default:
			return nil, unix.EPERM
		}
		copied = append(copied, m...)
		copied = append(copied, make([]byte, unix.CmsgSpace(len(m.data()))-len(m))...)
	}
	return copied, nil
}

// translate puts duplicates of ours in the place of the task's descriptors. They are closed with the message.
func (c *call) translate(numbers []byte) error {
	const size = 4
	if len(c.passed)+len(numbers)/size > maxPassed {
		return unix.EINVAL
	}
	task, err := c.n.OpenTask()
	if err != nil {
		return err
	}
	defer unix.Close(task)
	for ; len(numbers) >= size; numbers = numbers[size:] {
		fd, err := unix.PidfdGetfd(task, int(int32(binary.NativeEndian.Uint32(numbers))), 0)
		if err != nil {
			return err
		}
		c.passed = append(c.passed, fd)
		binary.NativeEndian.PutUint32(numbers, uint32(fd))
	}
	return nil
}

// release closes the descriptors of a message.
func (c *call) release() {
	for _, fd := range c.passed {
		unix.Close(fd)
	}
	c.passed = nil
}
