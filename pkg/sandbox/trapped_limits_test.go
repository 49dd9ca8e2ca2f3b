package sandbox

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/policy"
)

// Of the limits only max_processes needs the supervisor for a system call; see docs/limits.md.
func TestCallsTrappedForLimits(t *testing.T) {
	forks := slices.DeleteFunc([]string{"clone", "fork", "rt_sigaction", "vfork"}, func(name string) bool {
		return !slices.Contains(natives(), name) // arm64 makes processes with clone alone
	})
	some := uint64(100)
	for name, test := range map[string]struct {
		rules policy.Policy
		want  []string
	}{
		"max_open_files": {policy.Policy{MaxOpenFiles: &some}, nil},
		"max_memory":     {policy.Policy{MaxMemory: &some}, nil},
		"max_disk":       {policy.Policy{MaxDisk: &some}, nil},
		"max_cpu":        {policy.Policy{MaxCPU: &some}, nil},
		"cpu_cores":      {policy.Policy{CPUCores: []int{0}}, nil},
		"num_cpus":       {policy.Policy{NumCPUs: &some}, nil},
		"max_processes":  {policy.Policy{MaxProcesses: &some}, forks},
	} {
		t.Run(name, func(t *testing.T) {
			test.rules.AllowDegraded = policy.Protections()
			if diff := cmp.Diff(test.want, trapped(t, &test.rules)); diff != "" {
				t.Errorf("(-want +trapped)\n%s", diff)
			}
		})
	}
}
