package deputy

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Quietly does a write without SIGPIPE, which kills a host that has left it at its default: there is no flag for a pipe
// as MSG_NOSIGNAL is for a socket. A signal of a write is the writing thread's own.
func Quietly(write func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var pipe, before unix.Sigset_t
	pipe.Val[0] = 1 << (unix.SIGPIPE - 1)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &pipe, &before); err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	err := write()
	if errors.Is(err, unix.EPIPE) {
		var now unix.Timespec
		unix.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&pipe)), 0, uintptr(unsafe.Pointer(&now)),
			signalSetBytes, 0, 0)
	}
	return err
}

// signalSetBytes is the size of the kernel's signal set.
const signalSetBytes = 8
