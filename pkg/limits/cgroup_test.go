package limits

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// folder makes one with files, as a cgroup has them.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	path := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestBoundsOfCgroupsThatAreLeft(t *testing.T) {
	got := make(bounds)
	got.add(folder(t, map[string]string{"memory.max": "4096\n", "cpu.max": "max 100000\n", "pids.max": "max\n"}))
	got.add(folder(t, map[string]string{"memory.max": "8192\n", "cpu.max": "25000 50000\n", "pids.max": "7\n"}))
	got.add(folder(t, nil))
	want := bounds{"memory.max": 4096, "cpu.max": 50_000, "pids.max": 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSuits(t *testing.T) {
	files := func(changed map[string]string) map[string]string {
		all := map[string]string{"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": "",
			"cgroup.type": "domain\n"}
		for name, text := range changed {
			all[name] = text
		}
		return all
	}
	for name, test := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"empty":                      {files(nil), true},
		"in use":                     {files(map[string]string{"cgroup.procs": "1\n"}), false},
		"in use, controllers active": {files(map[string]string{"cgroup.procs": "1\n", "cgroup.subtree_control": "memory cpu\n"}), true},
		"one active":                 {files(map[string]string{"cgroup.procs": "1\n", "cgroup.subtree_control": "memory\n"}), false},
		"none to hand on":            {files(map[string]string{"cgroup.controllers": "pids\n"}), false},
		"no cgroup":                  {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := suits(folder(t, test.files), []string{"memory", "cpu"}); (err == nil) != test.want {
				t.Errorf("suits: %v", err)
			}
		})
	}
	root := files(map[string]string{"cgroup.procs": "1\n"})
	delete(root, "cgroup.type")
	if err := suits(folder(t, root), []string{"memory"}); err != nil {
		t.Errorf("the root: %v", err)
	}
}

// The root of all files is busy as well, and has no cgroup.kill.
func TestCgroupThatCannotBeRemoved(t *testing.T) {
	if err := (&Group{path: "/"}).Close(); !errors.Is(err, unix.EBUSY) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not both that it is busy and why nobody was killed: %v", err)
	}
}
