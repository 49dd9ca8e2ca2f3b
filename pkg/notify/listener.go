package notify

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrEnded is what Receive returns when no filtered task is left, or when the listener was shut down.
var ErrEnded = errors.New("no more notifications")

// ErrInterrupted is what Receive returns after Interrupt.
var ErrInterrupted = errors.New("interrupted")

// A Listener is the receiving end of a filter. Receive has one caller at a time; everything else may be called from
// anywhere, also after Close.
type Listener struct {
	mu     sync.RWMutex // Close waits for calls under way: the number may be another file's afterwards
	fd     int
	wakeup int // an eventfd: readable after Interrupt, and for good after Shutdown
	closed bool

	ending atomic.Bool
}

// NewListener takes over the descriptor of a seccomp listener.
//
// Linux 6.6 and newer run the receiver on the CPU of the task that waits for it (SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP),
// which makes a round trip several times faster; older kernels do without.
func NewListener(fd int) (*Listener, error) {
	wakeup, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the listener's eventfd: %w", err), unix.Close(fd))
	}
	unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS,
		unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return &Listener{fd: fd, wakeup: wakeup}, nil
}

// Receive waits for the next notification; ErrEnded says that there will be none. The thread that calls it should be
// the one that answers: a hand-over in between costs more than the rest of the round trip.
func (l *Listener) Receive(n *Notification) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for {
		if l.closed {
			return ErrEnded
		}
		// The last task's exit does not wake a receiver before Linux 6.11, and shutdown never does.
		ready := [2]unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}, {Fd: int32(l.wakeup), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready[:], -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return fmt.Errorf("wait for a notification: %w", err)
		}
		if ready[1].Revents != 0 {
			if l.ending.Load() {
				return ErrEnded
			}
			var count [8]byte
			unix.Read(l.wakeup, count[:]) // fails only when another receiver has taken it
			return ErrInterrupted
		}
		switch events := ready[0].Revents; {
		case events&unix.POLLIN != 0:
		case events&unix.POLLHUP != 0:
			return ErrEnded
		case events&unix.POLLNVAL != 0:
			return fmt.Errorf("wait for a notification: %w", unix.EBADF)
		default: // POLLERR: a signal interrupted the kernel while it waited for its own lock
			continue
		}
		n.raw = rawNotification{} // the kernel refuses anything but zeros
		switch errno := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n.raw)); errno {
		case 0:
			n.listener = l
			return nil
		case unix.EINTR, unix.ENOENT: // ENOENT: the task was killed between poll and here
		default:
			return fmt.Errorf("receive a notification: %w", errno)
		}
	}
}

// Shutdown makes Receive return ErrEnded, now and from now on. Tasks that wait for an answer go on waiting.
func (l *Listener) Shutdown() error {
	l.ending.Store(true)
	return l.Interrupt()
}

// Interrupt makes Receive return ErrInterrupted, once: now or when it is called next.
func (l *Listener) Interrupt() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil
	}
	one := [8]byte{1}
	if _, err := unix.Write(l.wakeup, one[:]); err != nil && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("wake the listener: %w", err)
	}
	return nil
}

// Close shuts down and frees the descriptors. A task that waits for an answer, or asks later, gets ENOSYS: close only
// when no filtered task is left.
func (l *Listener) Close() error {
	err := l.Shutdown() // where it fails, the end of the last task ends Receive as well
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return err
	}
	l.closed = true
	return errors.Join(err, unix.Close(l.fd), unix.Close(l.wakeup))
}

func (l *Listener) ioctl(request uint, argument unsafe.Pointer) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(l.fd), uintptr(request), uintptr(argument))
	return errno
}

// locked runs an ioctl on an open listener.
func (l *Listener) locked(request uint, argument unsafe.Pointer) unix.Errno {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return unix.ENOENT
	}
	for {
		// The kernel's lock for the filter's notifications is waited for interruptibly.
		if errno := l.ioctl(request, argument); errno != unix.EINTR {
			return errno
		}
	}
}
