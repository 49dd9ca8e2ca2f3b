package limits

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// begin makes a walk that has entered a folder. What it hides is counted.
func begin(t *testing.T, path string) (w *walk, hidden *int) {
	t.Helper()
	hidden = new(int)
	w = newWalk(func(inode) { *hidden++ })
	t.Cleanup(w.leaveAll)
	if err := w.enter(unix.AT_FDCWD, entry{name: path}); err != nil {
		t.Fatal(err)
	}
	return w, hidden
}

// The tree puts something else in the place of a folder that was just listed.
func TestOnlyFoldersAreEntered(t *testing.T) {
	elsewhere := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(elsewhere, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string]func(path string) error{
		"FIFO":             func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link to a FIFO":   func(path string) error { return os.Symlink(filepath.Join(elsewhere, "fifo"), path) },
		"link to a folder": func(path string) error { return os.Symlink(elsewhere, path) },
		"nothing":          func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "exchanged")
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			w, hidden := begin(t, folder)
			before := w.total
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := replace(path); err != nil {
				t.Fatal(err)
			}
			stepped := make(chan error, 1)
			go func() { stepped <- w.step() }()
			select {
			case err := <-stepped:
				if err != nil || *hidden != 0 || len(w.way) != 1 || w.total != before {
					t.Errorf("%v, %d hidden, %d levels, %d bytes", err, *hidden, len(w.way), w.total-before)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the walk hangs")
			}
		})
	}
}

// deepFolder makes folders in each other, longer together than a path may be, two in each. It gives their descriptors
// at some depths.
func deepFolder(t *testing.T, path string, depth int, wanted ...int) []int {
	t.Helper()
	fd, err := openFolder(unix.AT_FDCWD, path)
	var found []int
	for i := 0; err == nil && i < depth; i++ {
		const name = "a folder with a name that is somewhat long"
		var next int
		for _, name := range []string{name, "beside"} {
			if err := unix.Mkdirat(fd, name, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		next, err = openFolder(fd, name)
		if len(wanted) > 0 && wanted[0] == i {
			wanted, found = wanted[1:], append(found, fd)
			t.Cleanup(func() { unix.Close(fd) })
		} else {
			unix.Close(fd)
		}
		fd = next
	}
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	return found
}

func TestDeepFoldersTakeFewDescriptors(t *testing.T) {
	const depth = 5 * mostOpen
	path := t.TempDir()
	deepFolder(t, path, depth)
	w, hidden := begin(t, path)
	deepest := 0
	for len(w.way) > 0 {
		deepest = max(deepest, len(w.way))
		open := 0
		for _, level := range w.way {
			if level.fd != notOpen {
				open++
			}
		}
		if open > mostOpen {
			t.Fatalf("%d folders are open", open)
		}
		if err := w.step(); err != nil {
			t.Fatal(err)
		}
	}
	if deepest != depth+1 || len(w.seen) != 2*depth+1 || *hidden != 0 {
		t.Errorf("%d deep, %d folders, %d hidden", deepest, len(w.seen), *hidden)
	}
}

// From a folder that was moved nothing leads back: the walk must not go on where it is not to be.
func TestDeepFolderThatIsMoved(t *testing.T) {
	path := t.TempDir()
	fds := deepFolder(t, path, 2*mostOpen, mostOpen/2, mostOpen/2+1)
	w, hidden := begin(t, path)
	for len(w.way) <= 2*mostOpen {
		if err := w.step(); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(path, "moved")
	if err := unix.Renameat(fds[0], "a folder with a name that is somewhat long", unix.AT_FDCWD, name); err != nil {
		t.Fatal(err)
	}
	for len(w.way) > 0 {
		if err := w.step(); err != nil {
			t.Fatal(err)
		}
	}
	if *hidden != 1 {
		t.Errorf("hidden %d times", *hidden)
	}
}

// A lack of descriptors is not the tree's.
func TestWalkWithoutDescriptors(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		hidden := false
		w := newWalk(func(inode) { hidden = true })
		if err := w.missed(inode{}, fmt.Errorf("open: %w", errno)); err == nil || hidden {
			t.Errorf("%v: %v, hidden: %v", errno, err, hidden)
		}
	}
}
