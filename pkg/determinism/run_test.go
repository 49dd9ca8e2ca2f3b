package determinism

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/policy"
)

// What is trapped is only what a field needs; docs/determinism.md has the same table.
func TestHandlers(t *testing.T) {
	seed := uint64(1)
	first := []string{"arch_prctl", "brk", "sched_getaffinity", "set_tid_address"}
	for name, test := range map[string]struct {
		rules policy.Policy
		want  []string
	}{
		"nothing":            {policy.Policy{}, nil},
		"the kernel's alone": {policy.Policy{NoRandomizeMemory: true, NoHugePages: true}, nil},
		"deterministic_dirs": {policy.Policy{DeterministicDirs: true}, []string{"getdents", "getdents64"}},
		"time_start":         {policy.Policy{TimeStart: time.Unix(0, 0)}, append(first, "clock_gettime", "gettimeofday", "time")},
		"random_seed":        {policy.Policy{RandomSeed: &seed}, append(first, "getrandom", "open", "openat", "openat2")},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			if run := New(&test.rules, nil); run != nil {
				got = slices.Sorted(maps.Keys(run.Handlers()))
			}
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("handlers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVDSOFunctions(t *testing.T) {
	functions, err := vdsoFunctions()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"clock_gettime", "gettimeofday"} { // every 64-bit kernel has these
		if functions[name] == 0 {
			t.Errorf("%s is not among %v", name, functions)
		}
	}
}

func TestStreams(t *testing.T) {
	draw := func(s *stream) (data [8]byte) {
		s.numbers.Read(data[:])
		return data
	}
	tree := func(seed uint64) [][8]byte {
		root := newStreams(seed).root
		shell := root.descend("sh")
		return [][8]byte{draw(root), draw(shell), draw(shell.descend("cat")), draw(shell.descend("cat")),
			draw(shell.descend("dog")), draw(root.descend("cat"))}
	}
	if diff := cmp.Diff(tree(1), tree(1)); diff != "" {
		t.Errorf("the same seed (-first +second):\n%s", diff)
	}
	seen := make(map[[8]byte]bool)
	for _, data := range append(tree(1), tree(2)...) {
		if seen[data] {
			t.Errorf("%x was drawn twice", data)
		}
		seen[data] = true
	}
}

// The order in which siblings of different kinds appear does not matter.
func TestStreamsOfAPipeline(t *testing.T) {
	one, other := newStreams(1).root, newStreams(1).root
	left, right := one.descend("left"), one.descend("right")
	if right.name != other.descend("right").name || left.name != other.descend("left").name {
		t.Error("the streams depend on who comes first")
	}
}
