package policy

import "golang.org/x/sys/unix"

// Rlimit is one bound that the kernel keeps for each process (setrlimit(2)).
type Rlimit struct {
	Name     string // the field of the policy, or what the bound is about
	Resource int    // unix.RLIMIT_*
	Soft     uint64
	Hard     uint64
}

// Rlimits returns the bounds that the policy asks for. They are ceilings: see Under.
//
// Core dumps are always off, by a limit of one byte rather than zero: too little for a file either way, but where the
// kernel pipes cores to a program of the host (core_pattern), that program is left alone at exactly one and started at
// zero (core(5) and fs/coredump.c).
func (p *Policy) Rlimits() []Rlimit {
	limits := []Rlimit{{Name: "core", Resource: unix.RLIMIT_CORE, Soft: 1, Hard: 1}}
	if p.MaxOpenFiles != nil {
		limits = append(limits, Rlimit{Name: "max_open_files", Resource: unix.RLIMIT_NOFILE, Soft: *p.MaxOpenFiles, Hard: *p.MaxOpenFiles})
	}
	if p.MaxMemory != nil {
		limits = append(limits, Rlimit{Name: "max_memory", Resource: unix.RLIMIT_DATA, Soft: *p.MaxMemory, Hard: *p.MaxMemory})
	}
	if p.MaxDisk != nil {
		limits = append(limits, Rlimit{Name: "max_disk", Resource: unix.RLIMIT_FSIZE, Soft: *p.MaxDisk, Hard: *p.MaxDisk})
	}
	return limits
}

// Under returns the limit cut to the host's own hard limit, which an unprivileged process cannot exceed.
func (r Rlimit) Under(hostHard uint64) Rlimit {
	r.Soft, r.Hard = min(r.Soft, hostHard), min(r.Hard, hostHard)
	return r
}
