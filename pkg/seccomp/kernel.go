package seccomp

import (
	"sync"

	"golang.org/x/sys/unix"
)

// ListenerFlags are the flags that install a filter with a listener. Linux 5.19 and newer keep a call that the
// supervisor has received from being interrupted by signals that do not kill; older kernels do without.
var ListenerFlags = sync.OnceValue(func() uint {
	const wish = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	// A missing program is EFAULT, but only after the flags have been checked.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, wish, 0)
	if errno == unix.EFAULT {
		return wish
	}
	return unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
})
