package landlock

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// state says what became of a protection in a ruleset.
type state int

const (
	enforced state = iota // the kernel has it, and the ruleset uses it
	degraded              // the kernel lacks it, and the policy allows that
	disabled              // the policy does not want it
)

// protection is what stands behind one of the policy's protections.
type protection struct {
	name   policy.Protection
	abi    int
	fs     uint64
	net    uint64
	scoped uint64
	what   string // what the sandbox can do where it is not enforced
}

var protections = []protection{
	// Without it the kernel refuses to move or link files between folders at all (EXDEV). So what is lost is function,
	// not safety, and it cannot be disabled: leaving the right unhandled only makes the refusal total.
	{name: policy.FSRefer, abi: 2, fs: unix.LANDLOCK_ACCESS_FS_REFER,
		what: "files cannot be moved or linked between folders at all"},
	// Without it truncate(2) empties any file that the user may write, granted or not, and open with O_TRUNC any that
	// is merely readable.
	{name: policy.FSTruncate, abi: 3, fs: unix.LANDLOCK_ACCESS_FS_TRUNCATE,
		what: "files outside fs_writable can be truncated"},
	// Without it TCP is as free as on the host, as far as Landlock goes.
	{name: policy.NetTCP, abi: 4, net: unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP,
		what: "TCP connections and listeners are not refused by Landlock"},
	// Without it a device that may be opened for reading takes every ioctl.
	{name: policy.FSIoctlDev, abi: 5, fs: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV,
		what: "devices in fs_readable take every ioctl"},
	// Without it every process of the same user can be signalled, the supervising one included.
	{name: policy.SignalScope, abi: 6, scoped: unix.LANDLOCK_SCOPE_SIGNAL,
		what: "processes outside the sandbox can be signalled"},
	// Without it every abstract socket of the network namespace can be connected to.
	{name: policy.AbstractUnixSocketScope, abi: 6, scoped: unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET,
		what: "abstract Unix sockets outside the sandbox can be reached"},
}

// Requirement is what a protection needs of the kernel, and what its lack means.
type Requirement struct {
	ABI     int    // the Landlock ABI that brought it
	Linux   string // the first release with that ABI
	Without string // what the sandbox can do where it is not enforced
}

// Requires tells what a protection needs.
func Requires(name policy.Protection) Requirement {
	i := slices.IndexFunc(protections, func(p protection) bool { return p.name == name })
	p := protections[i]
	return Requirement{ABI: p.abi, Linux: levels[p.abi-1].linux, Without: p.what}
}

// resolve decides about every protection. One that the kernel lacks is an error unless the policy opts out of it.
func resolve(p *policy.Policy, abi int) (map[policy.Protection]state, error) {
	if slices.Contains(p.Disable, policy.FSRefer) {
		return nil, &policy.Error{Field: "disable", Value: policy.FSRefer.String(),
			Problem: "cannot be disabled: the kernel refuses to move files between folders unless the right to is handled and granted",
			Hint:    "take it out of the list, or put it in allow_degraded for kernels that lack it"}
	}
	states := make(map[policy.Protection]state, len(protections))
	var missing []policy.Protection
	for _, each := range protections {
		switch {
		case slices.Contains(p.Disable, each.name):
			states[each.name] = disabled
		case each.abi <= abi:
			states[each.name] = enforced
		case slices.Contains(p.AllowDegraded, each.name):
			states[each.name] = degraded
		default:
			missing = append(missing, each.name)
		}
	}
	if missing != nil {
		return nil, &MissingProtectionError{Missing: missing, ABI: abi}
	}
	return states, nil
}

// MissingProtectionError says that the kernel lacks protections that the policy has not opted out of.
type MissingProtectionError struct {
	Missing []policy.Protection // all of them, so that one look is enough
	ABI     int                 // what the kernel has
}

// Error names each protection, what it needs and what its lack means, and the opt-out for all of them.
func (e *MissingProtectionError) Error() string {
	var lacks, optOut []string
	for _, each := range protections {
		if slices.Contains(e.Missing, each.name) {
			needs := Requires(each.name)
			lacks = append(lacks, fmt.Sprintf("%v needs ABI %d (Linux %s), without it %s", each.name, needs.ABI, needs.Linux, needs.Without))
			optOut = append(optOut, "Protection."+each.name.String())
		}
	}
	return fmt.Sprintf("this kernel has Landlock ABI %d, which is too old: %s; run a newer kernel, or accept it with allow_degraded=[%s]",
		e.ABI, strings.Join(lacks, "; "), strings.Join(optOut, ", "))
}
