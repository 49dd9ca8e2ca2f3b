package notify

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawAddFD is struct seccomp_notif_addfd.
type rawAddFD struct {
	id       uint64
	flags    uint32
	srcFD    uint32
	newFD    uint32
	newFlags uint32
}

// PlaceFD opens a copy of a host's descriptor in the task under the given number, in the place of what the task had
// there. The task goes on waiting. newFlags is 0 or O_CLOEXEC.
func (n *Notification) PlaceFD(source, target int, newFlags uint32) error {
	_, err := n.addFD(rawAddFD{id: n.raw.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, srcFD: uint32(source),
		newFD: uint32(target), newFlags: newFlags})
	return err
}

// ErrMisanswered says that the kernel has answered a call with 0 in the place of the number of a descriptor.
var ErrMisanswered = errors.New("the call was answered with 0 and no descriptor")

// SendFD opens a copy of a host's descriptor in the task under the lowest free number and returns that number from the
// call, in one step (Linux 5.14). It gives the number.
//
// When a signal interrupts the step, the kernel (seen on Linux 6.18) gives up the descriptor but not the answer: the
// call returns 0, and a task that wanted to open a file reads its stdin. So signals are blocked meanwhile. SIGSTOP
// cannot be: that is ErrMisanswered, and the task must not go on.
func (n *Notification) SendFD(source int, newFlags uint32) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before); err != nil {
		return -1, fmt.Errorf("block signals: %w", err)
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	return n.addFD(rawAddFD{id: n.raw.id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, srcFD: uint32(source),
		newFlags: newFlags})
}

func (n *Notification) addFD(request rawAddFD) (int, error) {
	l := n.listener
	l.mu.RLock()
	defer l.mu.RUnlock()
	for !l.closed {
		number, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l.fd), unix.SECCOMP_IOCTL_NOTIF_ADDFD,
			uintptr(unsafe.Pointer(&request)))
		switch errno {
		case 0:
			return int(number), nil
		case unix.EINPROGRESS: // answered already
			if request.flags&unix.SECCOMP_ADDFD_FLAG_SEND == 0 {
				return -1, ErrGone
			}
			return -1, ErrMisanswered // by this very call: nobody else answers meanwhile
		case unix.ENOENT:
			return -1, ErrGone
		case unix.EINTR: // this thread was signalled before the task took the descriptor
			continue
		default:
			return -1, fmt.Errorf("give descriptor %d to task %d: %w", request.srcFD, n.Task(), errno)
		}
	}
	return -1, ErrGone
}
