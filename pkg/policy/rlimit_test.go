package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRlimits(t *testing.T) {
	core := Rlimit{Name: "core", Resource: unix.RLIMIT_CORE, Soft: 1, Hard: 1}
	for name, test := range map[string]struct {
		policy Policy
		want   []Rlimit
	}{
		"always":     {Policy{}, []Rlimit{core}},
		"asked for":  {Policy{NoCoredump: true}, []Rlimit{core}},
		"open files": {Policy{MaxOpenFiles: limit(64)}, []Rlimit{core, {Name: "max_open_files", Resource: unix.RLIMIT_NOFILE, Soft: 64, Hard: 64}}},
		"memory":     {Policy{MaxMemory: limit(1 << 30)}, []Rlimit{core, {Name: "max_memory", Resource: unix.RLIMIT_DATA, Soft: 1 << 30, Hard: 1 << 30}}},
		"disk":       {Policy{MaxDisk: limit(0)}, []Rlimit{core, {Name: "max_disk", Resource: unix.RLIMIT_FSIZE}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.policy.Rlimits()); diff != "" {
				t.Errorf("Rlimits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRlimitUnder(t *testing.T) {
	limit := Rlimit{Name: "n", Soft: 100, Hard: 200}
	for hostHard, want := range map[uint64]Rlimit{
		unix.RLIM_INFINITY: limit,
		150:                {Name: "n", Soft: 100, Hard: 150},
		0:                  {Name: "n"},
	} {
		if diff := cmp.Diff(want, limit.Under(hostHard)); diff != "" {
			t.Errorf("Under(%d) (-want +got):\n%s", hostHard, diff)
		}
	}
}
