package deputy

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// plant fills a folder with everything that a path may meet. Absolute links stay in it.
func plant(t testing.TB, root string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"/d", "/d/e", "/d/none"} {
		check(os.Mkdir(root+folder, 0o755))
	}
	for _, file := range []string{"/f", "/d/f", "/d/e/f"} {
		check(os.WriteFile(root+file, []byte("content of "+file), 0o644))
	}
	for link, target := range map[string]string{
		"/toFile": "f", "/toFolder": "d", "/toLink": "toFolder/e/up/toFile", "/loop": "loop", "/loop2": "d/loop3", "/d/loop3": "../loop2",
		"/dangling": "new", "/dangling2": "d/dangling3", "/d/dangling3": "new", "/nowhere": "absent/new", "/slash": "d/", "/slashFile": "f/",
		"/absolute": root + "/d/e", "/absoluteNew": root + "/d/e/new", "/d/e/up": "../..", "/dots": "././d/../d/.", "/outside": "../..",
	} {
		check(os.Symlink(target, root+link))
	}
	check(os.Chmod(root+"/d/none", 0))
}

// clear empties a folder, which stays the one that the deputy may change.
func clear(t testing.TB, root string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(root, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// words are what the paths of the fuzzer consist of; each byte is one of them.
var words = []string{
	"f", "d", "e", "none", "toFile", "toFolder", "toLink", "loop", "loop2", "dangling", "dangling2", "nowhere", "slash", "slashFile",
	"absolute", "absoluteNew", "up", "dots", "outside", "new", "absent", "..", ".", "", "loop3", "dangling3",
	strings.Repeat("n", 255), strings.Repeat("n", 256), strings.Repeat("./", 1000) + ".",
}

func pathOf(picks []byte) string {
	var parts []string
	for _, pick := range picks {
		parts = append(parts, words[int(pick)%len(words)])
	}
	return strings.Join(parts, "/")
}

func picks(path string) (picked []byte) {
	for part := range strings.SplitSeq(path, "/") {
		for i, word := range words {
			if word == part {
				picked = append(picked, byte(i))
			}
		}
	}
	return picked
}

// A finding is what became of an open.
type finding struct {
	Errno   string
	Name    string // of the file, below the tree
	Flags   int
	Unnamed bool
	Tree    []string
}

// open opens in a tree, either with the kernel's own openat2 or as for a task.
func open(t testing.TB, d *Deputy, root, path string, how unix.OpenHow, perform bool) finding {
	t.Helper()
	if strings.HasPrefix(path, "/") && how.Resolve&(unix.RESOLVE_IN_ROOT|unix.RESOLVE_BENEATH) == 0 {
		path = root + path
	}
	base, err := openat2(unix.AT_FDCWD, root, unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(base)
	result := inside(t, d, func() Result {
		if perform {
			r := request{places: []place{{base, path}}, taken: make(map[ownFile]int)}
			return r.openAs(how)
		}
		kernel := how
		kernel.Flags |= unix.O_CLOEXEC
		fd, err := openat2(base, path, kernel)
		return opened(fd, how, err)
	})
	var f finding
	if result.Errno != 0 {
		f.Errno = unix.ErrnoName(result.Errno)
	}
	if result.FD >= 0 {
		defer unix.Close(result.FD)
		if f.Name, err = nameOf(result.FD); err != nil {
			t.Fatal(err)
		}
		if rest, below := strings.CutPrefix(f.Name, root); below {
			f.Name = rest
		}
		if f.Unnamed = how.Flags&unix.O_TMPFILE == unix.O_TMPFILE; f.Unnamed {
			f.Name = filepath.Dir(f.Name) // it has a number for a name
		}
		if f.Flags, err = unix.FcntlInt(uintptr(result.FD), unix.F_GETFL, 0); err != nil {
			t.Fatal(err)
		}
		f.Flags &^= unix.O_NOFOLLOW // of no effect on an open file, and lost
	}
	f.Tree = listing(t, root)
	return f
}

// listing tells everything in a tree: names, modes and sizes.
func listing(t testing.TB, root string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if os.IsPermission(err) { // the folder that nobody may read
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			files = append(files, fmt.Sprint(strings.TrimPrefix(path, root), info.Mode()))
		}
		if err == nil && info.Mode().IsRegular() {
			files = append(files, fmt.Sprint(info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// flagSets are the flags of open(2) that change where a path leads or what becomes of the file.
var flagSets = []uint64{unix.O_RDONLY, unix.O_WRONLY, unix.O_CREAT | unix.O_WRONLY, unix.O_CREAT | unix.O_EXCL | unix.O_RDWR, unix.O_TRUNC | unix.O_RDWR,
	unix.O_CREAT | unix.O_NOFOLLOW, unix.O_NOFOLLOW, unix.O_DIRECTORY, unix.O_DIRECTORY | unix.O_NOFOLLOW, unix.O_TMPFILE | unix.O_RDWR,
	unix.O_CREAT | unix.O_DIRECTORY, unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY | unix.O_APPEND, unix.O_EXCL, unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW}

// FuzzOpen compares every open with the kernel's own, in trees that are equal before and must be so afterwards. A thread
// that may change nothing else makes both.
func FuzzOpen(f *testing.F) {
	for _, path := range []string{"f", "toFile", "d/../f", "toFolder/e/up/toFile", "loop", "loop2", "dangling", "dangling2", "nowhere", "d/new", "d/new/",
		"f/", "f/.", "f/..", "slash/f", "slashFile", "absolute/f", "absoluteNew", "outside", "outside/f", "../d", "", "/", "/d/e", "d/none/new", "d//f",
		"dots/e", ".", "..", "d/.", "d/..", "toLink", "absent/..", "toFolder/", "dangling/", "new/."} {
		for flags := range flagSets {
			f.Add(picks(path), byte(flags), byte(0))
		}
		for _, resolve := range []byte{unix.RESOLVE_BENEATH, unix.RESOLVE_IN_ROOT, unix.RESOLVE_NO_SYMLINKS, unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS} {
			f.Add(picks(path), byte(0), resolve)
			f.Add(picks(path), byte(3), resolve)
		}
	}
	home := f.TempDir()
	roots := [2]string{home + "/one", home + "/two"}
	for _, root := range roots {
		if err := os.Mkdir(root, 0o755); err != nil {
			f.Fatal(err)
		}
		plant(f, root)
	}
	d := deputyFor(f, roots[:]...)
	planted := listing(f, roots[0])
	f.Fuzz(func(t *testing.T, picked []byte, flags, resolve byte) {
		if len(picked) > 16 {
			return // longer ones tell nothing more, but take longer
		}
		path := pathOf(picked)
		how := unix.OpenHow{Flags: flagSets[int(flags)%len(flagSets)], Resolve: uint64(resolve) & 0x1f}
		if how.Flags&unix.O_CREAT != 0 || how.Flags&unix.O_TMPFILE == unix.O_TMPFILE {
			how.Mode = 0o640
		}
		var found [2]finding
		for i, root := range roots {
			// EAGAIN says that something on the machine was renamed or mounted meanwhile, see openat2(2).
			for tries := 0; tries == 0 || tries < 100 && found[i].Errno == "EAGAIN"; tries++ {
				found[i] = open(t, d, root, path, how, i == 1)
				if !slices.Equal(found[i].Tree, planted) {
					clear(t, root)
					plant(t, root)
				}
			}
		}
		if how.Resolve != 0 && found[1].Errno == "ELOOP" && how.Flags&(unix.O_CREAT|unix.O_EXCL) == unix.O_CREAT {
			found[0] = finding{Errno: "ELOOP", Tree: planted} // refused, where the kernel may make a file behind a link
		}
		if diff := cmp.Diff(found[0], found[1]); diff != "" {
			t.Errorf("%q with flags %#x, resolve %#x (-kernel +performed)\n%s", path, how.Flags, how.Resolve, diff)
		}
	})
}
