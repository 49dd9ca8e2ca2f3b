// Package limits bounds what a tree of processes uses: by the kernel where it can bound a tree, and by counting where it
// cannot. docs/limits.md says what is bounded how, and what happens to a tree that wants more.
package limits

import (
	"math"

	"sandlock/pkg/policy"
)

// Unlimited is a limit of max_memory and max_processes that is there to be lowered later.
const Unlimited uint64 = math.MaxUint64

// A Mechanism is what enforces a limit.
type Mechanism string

const (
	Cgroup   Mechanism = "cgroup"   // the kernel, for the tree
	Affinity Mechanism = "affinity" // the kernel, by the CPUs of the first process and a filter that keeps them
	Rlimit   Mechanism = "rlimit"   // the kernel, for each process by itself

	Supervisor Mechanism = "supervisor" // sandlock, which counts what the tree uses
)

// Mechanisms says of each limit that a policy sets what enforces it, by the name of its field. The group may be nil.
func Mechanisms(rules *policy.Policy, group *Group) map[string]Mechanism {
	mechanisms := make(map[string]Mechanism)
	for field, limit := range map[string]struct {
		set bool
		by  Mechanism
	}{
		"max_open_files": {rules.MaxOpenFiles != nil, Rlimit},
		"max_memory":     {isSet(rules.MaxMemory), Supervisor},
		"max_disk":       {rules.MaxDisk != nil, Supervisor},
		"max_cpu":        {rules.MaxCPU != nil, Supervisor},
		"max_processes":  {isSet(rules.MaxProcesses), Supervisor},
		"cpu_cores":      {rules.CPUCores != nil, Affinity},
		"num_cpus":       {rules.NumCPUs != nil, Affinity},
	} {
		switch {
		case group.Keeps(field):
			mechanisms[field] = Cgroup
		case limit.set:
			mechanisms[field] = limit.by
		}
	}
	return mechanisms
}

func isSet(limit *uint64) bool { return limit != nil && *limit != Unlimited }

// Denied are the system calls with which a command could take a limit off.
func Denied(rules *policy.Policy) []string {
	if rules.CPUCores != nil || rules.NumCPUs != nil {
		return []string{"sched_setaffinity"}
	}
	return nil
}
