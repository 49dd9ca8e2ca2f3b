package kernel

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/seccomp"
)

// A listenerProbe is what making a seccomp listener gave.
type listenerProbe struct {
	install unix.Errno
	wakeUp  unix.Errno
}

func (p listenerProbe) usable() (bool, string) {
	if p.install == unix.EBUSY {
		return false, "this process is itself under a filter with a listener"
	}
	return available(p.install)
}

func (p listenerProbe) syncWakeUp() (bool, string) {
	if p.install != 0 {
		return false, "not asked: there is no listener"
	}
	return available(p.wakeUp)
}

// probeListener installs a filter that allows everything, on a thread that it takes along when it ends.
func probeListener() listenerProbe {
	result := make(chan listenerProbe)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		result <- installListener()
	}()
	return <-result
}

func installListener() (p listenerProbe) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return listenerProbe{install: err.(unix.Errno)}
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	program := unix.SockFprog{Len: 1, Filter: &allow}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return listenerProbe{install: errno}
	}
	defer unix.Close(int(fd))
	_, _, p.wakeUp = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	return p
}

func waitKillable() (bool, string) {
	return seccomp.ListenerFlags()&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0, ""
}

// available tells of a probe by its errno.
func available(errno unix.Errno) (bool, string) {
	if errno != 0 {
		return false, errno.Error()
	}
	return true, ""
}
