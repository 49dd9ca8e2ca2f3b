package landlock

import (
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// level is what one version of the kernel's Landlock ABI added.
type level struct {
	abi    int
	linux  string // the first release with it
	fs     uint64
	net    uint64
	scoped uint64
}

// levels are the known versions, oldest first. On a newer kernel the last one is used. Versions 7 and 8 added flags of
// landlock_restrict_self (audit log, all threads), which a ruleset has nothing to do with.
var levels = []level{
	{abi: 1, linux: "5.13", fs: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM},
	{abi: 2, linux: "5.19", fs: unix.LANDLOCK_ACCESS_FS_REFER},
	{abi: 3, linux: "6.2", fs: unix.LANDLOCK_ACCESS_FS_TRUNCATE},
	{abi: 4, linux: "6.7", net: unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP},
	{abi: 5, linux: "6.10", fs: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
	{abi: 6, linux: "6.12", scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
	{abi: 7, linux: "6.15"},
	{abi: 8, linux: "7.0"},
	{abi: 9, linux: "7.1", fs: unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX},
	{abi: 10, linux: "7.2", net: unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP},
}

// The rights that the two lists of a policy grant, as far as the ruleset handles them.
const (
	readAccess uint64 = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR

	// writeAccess leaves out device nodes: root could make one of the host's disk in any folder that it may write.
	writeAccess = readAccess | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV |
		unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX

	// fileAccess are the rights that make sense on what is no folder; the kernel refuses others there.
	fileAccess uint64 = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
)

// handled returns all that an ABI can restrict, less the protections that are not enforced. What is handled and not
// granted by a rule is refused.
func handled(abi int, states map[policy.Protection]state) unix.LandlockRulesetAttr {
	var attr unix.LandlockRulesetAttr
	for _, l := range levels {
		if l.abi <= abi {
			attr.Handled_access_fs |= l.fs
			attr.Handled_access_net |= l.net
			attr.Scoped |= l.scoped
		}
	}
	for _, p := range protections {
		if states[p.name] != enforced {
			attr.Handled_access_fs &^= p.fs
			attr.Handled_access_net &^= p.net
			attr.Scoped &^= p.scoped
		}
	}
	return attr
}
