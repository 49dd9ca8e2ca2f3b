package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
)

// keptCapabilities are those that a sandboxed command may have: they are about files and users that the policy and
// no_new_privs bound anyway. The others reach past Landlock: with CAP_PERFMON or CAP_SYS_ADMIN, for one, the kernel
// shows the environment of any process (mm_access in kernel/fork.c).
const keptCapabilities uint64 = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
	1<<unix.CAP_KILL | 1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETPCAP | 1<<unix.CAP_NET_BIND_SERVICE |
	1<<unix.CAP_SETFCAP

// capabilities are the host's own, less those that the command may not have. Under no_new_privs execve gives no
// program more than its caller had, not even root's (cap_bprm_creds_from_file in security/commoncap.c): what is not
// here is gone for the whole tree.
func capabilities() (launch.Capabilities, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var own launch.Capabilities // 64 bits in two halves
	if err := unix.Capget(&header, &own[0]); err != nil {
		return own, fmt.Errorf("read the host's capabilities: %w", err)
	}
	for half := range own {
		kept := uint32(keptCapabilities >> (32 * half))
		own[half].Permitted &= kept
		own[half].Effective &= kept
		own[half].Inheritable = 0 // with them go the ambient ones
	}
	return own, nil
}
