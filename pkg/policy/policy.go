// Package policy says what a user asks of a sandbox, checks it, and knows nothing of the kernel that will enforce it.
//
// A Policy comes from Go code or, by Decode, from a generic map (JSON, a TOML profile). Normalized is the one place
// where it is checked; the packages that turn it into kernel objects do not check it again.
package policy

import (
	"maps"
	"slices"
	"time"
)

// Policy is one sandbox as its user describes it. The zero value grants nothing: its command cannot even be executed.
//
// The comments name the field as Decode and every error spell it. Paths are bytes, not text: a Go string holds any.
type Policy struct {
	// FSReadable (fs_readable) lists files and folders that may be read and executed, with all that is beneath.
	FSReadable []string
	// FSWritable (fs_writable) lists files and folders that may be read, executed and changed, with all that is beneath.
	FSWritable []string
	// FSDenied (fs_denied) lists what stays unreachable although a listed folder contains it. It wins over the others.
	FSDenied []string

	// ExtraDenySyscalls (extra_deny_syscalls) lists system calls or groups denied on top of the default ones.
	ExtraDenySyscalls []string
	// ExtraAllowSyscalls (extra_allow_syscalls) lists groups taken off the default deny list.
	ExtraAllowSyscalls []string

	// NetAllow (net_allow) lists the peers that may be reached, and NetDeny (net_deny) those that may not, which wins:
	// "host:port" and its variants, "unix://PATH", see docs/network.md. With neither none is, with NetDeny alone all
	// others are but Unix sockets.
	NetAllow, NetDeny []string
	// NetAllowBind (net_allow_bind) lists the ports that may be bound, and NetDenyBind (net_deny_bind) those that may
	// not: "80", "8000-8010", "80,443", or "*" alone. Empty lists mean what they mean for peers.
	NetAllowBind, NetDenyBind []string

	// Env (env) adds to, or overrides, the environment that the command would have had.
	Env map[string]string
	// CleanEnv (clean_env) starts from the host's PATH, HOME, USER, TERM and LANG only.
	CleanEnv bool
	// UID (uid) and GID (gid), given together, are what the command is shown as its user and group: it gets a user
	// namespace of its own, in which they stand for the host's.
	UID, GID *uint32
	// Umask (umask) is the command's file mode creation mask; the host's if nil.
	Umask *uint32
	// Cwd (cwd) is the command's working directory; the host's if empty.
	Cwd string

	// MaxOpenFiles (max_open_files) bounds the file descriptors of each process; nil leaves the host's bound.
	MaxOpenFiles *uint64
	// MaxMemory (max_memory) bounds the memory of the whole tree, and MaxDisk (max_disk) by how much what is beneath
	// FSWritable may grow, in bytes; nil leaves the host's bound.
	MaxMemory, MaxDisk *uint64
	// MaxProcesses (max_processes) bounds the processes of the whole tree, threads not counted; nil leaves the host's bound.
	MaxProcesses *uint64
	// MaxCPU (max_cpu) bounds the CPU time of the whole tree, in per cent of one core; see CPUPercent.
	MaxCPU *uint64
	// CPUCores (cpu_cores) are the CPUs that the command may run on, by the kernel's numbers; nil leaves the host's.
	CPUCores []int
	// NumCPUs (num_cpus) is on how many CPUs the command may run at most: the first ones of CPUCores, or of the host's.
	NumCPUs *uint64
	// NoCoredump (no_coredump) is accepted and changes nothing: core dumps are always off, because the zero value of a
	// policy has to be the strict one and the Python API has no value that asks for them. See Rlimits.
	NoCoredump bool

	// RandomSeed (random_seed) makes the random numbers that the kernel gives the same in each run.
	RandomSeed *uint64
	// TimeStart (time_start) is the time of day at which the command starts, from 1970 on; the host's if zero.
	TimeStart time.Time
	// DeterministicDirs (deterministic_dirs) gives the entries of directories in the order of their names.
	DeterministicDirs bool
	// NoRandomizeMemory (no_randomize_memory) puts the command's memory at the same addresses each time.
	NoRandomizeMemory bool
	// NoHugePages (no_huge_pages) disables transparent huge pages for the command.
	NoHugePages bool

	// AllowDegraded (allow_degraded) lists protections that this kernel may lack; where it has them they are enforced.
	AllowDegraded []Protection
	// Disable (disable) lists protections that are not enforced even where the kernel has them.
	Disable []Protection
}

// Normalized checks the policy and returns a copy in which list entries are unique and paths are tidy. The policy
// itself is left alone, and the copy shares no memory with it.
func (p *Policy) Normalized() (*Policy, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	n := *p
	n.FSReadable = unique(tidyAll(p.FSReadable))
	n.FSWritable = unique(tidyAll(p.FSWritable))
	n.FSDenied = unique(tidyAll(p.FSDenied))
	n.ExtraDenySyscalls = unique(p.ExtraDenySyscalls)
	n.ExtraAllowSyscalls = unique(p.ExtraAllowSyscalls)
	n.NetAllow, n.NetDeny = unique(p.NetAllow), unique(p.NetDeny)
	n.NetAllowBind, n.NetDenyBind = unique(p.NetAllowBind), unique(p.NetDenyBind)
	n.AllowDegraded = unique(p.AllowDegraded)
	n.Disable = unique(p.Disable)
	n.UID, n.GID, n.Umask = clone(p.UID), clone(p.GID), clone(p.Umask)
	n.RandomSeed = clone(p.RandomSeed)
	n.Env = maps.Clone(p.Env)
	if p.Cwd != "" {
		n.Cwd = tidy(p.Cwd)
	}
	n.MaxMemory, n.MaxDisk, n.MaxCPU = clone(p.MaxMemory), clone(p.MaxDisk), clone(p.MaxCPU)
	n.MaxOpenFiles, n.MaxProcesses, n.NumCPUs = clone(p.MaxOpenFiles), clone(p.MaxProcesses), clone(p.NumCPUs)
	n.CPUCores = unique(p.CPUCores)
	return &n, nil
}

// clone copies an optional value.
func clone[T any](value *T) *T {
	if value == nil {
		return nil
	}
	copied := *value
	return &copied
}

// unique keeps the first of equal entries, in a list of its own.
func unique[T comparable](list []T) []T {
	seen := make(map[T]struct{}, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(entry T) bool {
		_, again := seen[entry]
		seen[entry] = struct{}{}
		return again
	})
}
