package landlock

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// createRuleset returns a new ruleset's file descriptor, which is close-on-exec.
//
// The whole attribute is passed whatever the kernel's own is: one that knows fewer fields accepts zeros in the others.
func createRuleset(attr *unix.LandlockRulesetAttr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// addPathRule grants access to what parent is and, if it is a folder, to all that is beneath.
func addPathRule(ruleset, parent int, access uint64) error {
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(parent)}
	// Raw: it never waits, and there may be thousands.
	_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// addPortRule grants access to a TCP port.
func addPortRule(ruleset int, port uint16, access uint64) error {
	attr := netPortAttr{allowedAccess: access, port: uint64(port)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset), ruleNetPort,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ruleNetPort is LANDLOCK_RULE_NET_PORT and netPortAttr struct landlock_net_port_attr, which golang.org/x/sys/unix lacks.
const ruleNetPort = 2

type netPortAttr struct{ allowedAccess, port uint64 }

// openat is openat(2), repeated when a signal interrupts it: Go's own do, and some file systems then give up.
func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// openat2 is openat2(2) from the working directory, repeated like openat.
func openat2(path string, how unix.OpenHow) (int, error) {
	how.Flags |= unix.O_CLOEXEC
	for {
		fd, err := unix.Openat2(unix.AT_FDCWD, path, &how)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// statx is statx(2) without following a symbolic link at the end; an empty path means dir itself.
func statx(dir int, path string) (*unix.Statx_t, error) {
	const flags = unix.AT_EMPTY_PATH | unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	var st unix.Statx_t
	for {
		err := unix.Statx(dir, path, flags, unix.STATX_TYPE|unix.STATX_INO|unix.STATX_MNT_ID, &st)
		if err != unix.EINTR {
			return &st, err
		}
	}
}
