package deputy_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// expectSame makes the steps in two equal folders: by the child itself, and performed for it. Outcomes and folders must
// be the same.
func expectSame(t *testing.T, fill func(t *testing.T, folder string), steps ...step) []outcome {
	t.Helper()
	type end struct {
		Outcomes []outcome
		Files    []string
	}
	var ends [2]end
	for i, calls := range [][]string{nil, everyCall(steps)} {
		folder := filepath.Join(t.TempDir(), "cwd")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		fill(t, folder)
		ends[i].Outcomes = start(t, grants{cwd: folder}, calls, perform, steps...).finish(t)
		ends[i].Files = listing(t, folder)
	}
	if diff := cmp.Diff(ends[0], ends[1]); diff != "" {
		t.Errorf("(-made by the child +performed)\n%s", diff)
	}
	return ends[1].Outcomes
}

// listing tells everything in a folder: names, modes, owners, sizes and targets of links.
func listing(t testing.TB, folder string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%s %v %d %d", name, info.Mode(), owner.Uid, owner.Gid)
		if info.Mode().IsRegular() {
			text += fmt.Sprintf(" %d", info.Size())
		}
		if target, err := os.Readlink(path); err == nil {
			text += " " + strings.ReplaceAll(target, folder, "")
		}
		files = append(files, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// write makes a file.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// read gives the steps that open a file and read it.
func read(path string) []step {
	return []step{
		do(unix.SYS_OPENAT, unix.AT_FDCWD, path, unix.O_RDONLY, 0),
		do(unix.SYS_READ, back{1}, buffer{64}, 64),
		do(unix.SYS_CLOSE, back{2}),
	}
}
