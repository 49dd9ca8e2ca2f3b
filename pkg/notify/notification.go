package notify

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawNotification is struct seccomp_notif.
type rawNotification struct {
	id    uint64
	pid   uint32
	flags uint32
	data  rawData
}

// rawData is struct seccomp_data.
type rawData struct {
	nr                 int32
	arch               uint32
	instructionPointer uint64
	args               [6]uint64
}

// rawResponse is struct seccomp_notif_resp.
type rawResponse struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// A Notification is one system call that waits for an answer. It is valid until it is answered or its task dies.
type Notification struct {
	raw      rawNotification
	listener *Listener
}

// ID names the notification on its listener. A call that a signal interrupts comes again under another ID.
func (n *Notification) ID() uint64 { return n.raw.id }

// Task is the thread that made the call, as the supervisor's PID namespace numbers it.
func (n *Notification) Task() int { return int(n.raw.pid) }

// Flags are the kernel's; none is defined as of Linux 6.18.
func (n *Notification) Flags() uint32 { return n.raw.flags }

// Syscall is the number of the call in the table of Arch.
func (n *Notification) Syscall() int { return int(n.raw.data.nr) }

// Arch is the AUDIT_ARCH value of the call.
func (n *Notification) Arch() uint32 { return n.raw.data.arch }

// InstructionPointer is where the call was made.
func (n *Notification) InstructionPointer() uint64 { return n.raw.data.instructionPointer }

// Args are the registers of the call; what a pointer among them points to may change at any time.
func (n *Notification) Args() [6]uint64 { return n.raw.data.args }

// Valid reports whether the task still waits for the answer.
func (n *Notification) Valid() bool {
	id := n.raw.id
	return n.listener.locked(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == 0
}

// Continue lets the kernel perform the call with what the registers and the memory hold by then. Whatever was judged
// through a pointer may have been rewritten: an answer for audit, never for a decision.
func (n *Notification) Continue() error {
	return n.respond(rawResponse{id: n.raw.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// Fail makes the call fail with an errno from 1 to 4095.
func (n *Notification) Fail(errno unix.Errno) error {
	return n.respond(rawResponse{id: n.raw.id, errno: -int32(errno)})
}

// Return makes the call return a value without being performed.
func (n *Notification) Return(value int64) error {
	return n.respond(rawResponse{id: n.raw.id, value: value})
}

// respond drops an answer whose task is gone or was interrupted: nobody is there to take it. A task whose answer the
// kernel does not take would wait for ever, and is killed.
func (n *Notification) respond(response rawResponse) error {
	switch errno := n.listener.locked(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&response)); errno {
	case 0, unix.ENOENT, unix.EINPROGRESS:
		return nil
	default:
		err := fmt.Errorf("answer notification %d: %w", n.raw.id, errno)
		if n.Valid() {
			err = errors.Join(err, unix.Kill(n.Task(), unix.SIGKILL))
		}
		return err
	}
}
