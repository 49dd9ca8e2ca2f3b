package sandbox

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// keptCapabilities are those of root that a sandboxed command may have: they are about files and users that the policy
// and no_new_privs bound anyway. The others reach past Landlock: with CAP_PERFMON or CAP_SYS_ADMIN, for one, the kernel
// shows the environment of any process (mm_access in kernel/fork.c).
var keptCapabilities = []int{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_KILL, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SETFCAP,
}

// droppedCapabilities are those that a command of root would gain at execve, less the kept ones. Users without
// capabilities gain none: no_new_privs sees to it.
func droppedCapabilities() []int {
	if os.Geteuid() != 0 || !mayDrop() {
		return nil
	}
	var dropped []int
	for capability := range unix.CAP_LAST_CAP + 1 {
		if slices.Contains(keptCapabilities, capability) {
			continue
		}
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(capability), 0, 0, 0); err == nil && has == 1 {
			dropped = append(dropped, capability)
		}
	}
	return dropped
}

// mayDrop reports whether the host may take capabilities from what it starts. A container's root without CAP_SETPCAP
// has been cut down already.
func mayDrop() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SETPCAP) != 0
}
