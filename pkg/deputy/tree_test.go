package deputy_test

import (
	"bufio"
	gocmp "cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/sandbox"
)

// A dialogue is a child that makes one list of steps after the other, in a folder of its own.
type dialogue struct {
	*child
	folder  string
	to      *os.File
	answers *json.Decoder
}

// converse starts a child whose calls of some names are performed for it, or none.
func converse(t testing.TB, folder string, calls []string) *dialogue {
	t.Helper()
	c := launch(t, grants{cwd: folder, readable: []string{"/proc"}}, calls, perform,
		sandbox.Command{Stdin: sandbox.Stream(), Stdout: sandbox.Stream()})
	d := &dialogue{child: c, folder: folder, to: os.NewFile(uintptr(c.TakeStream(0)), "stdin")}
	from := os.NewFile(uintptr(c.TakeStream(1)), "stdout")
	d.answers = json.NewDecoder(bufio.NewReader(from))
	t.Cleanup(func() {
		d.to.Close()
		from.Close()
	})
	return d
}

// do has the steps made, and gives the outcomes with the same words for what differs between two children.
func (d *dialogue) do(t testing.TB, steps []step) (made []outcome) {
	t.Helper()
	patience := time.AfterFunc(limit, func() { d.Kill() })
	defer patience.Stop()
	list, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.to.Write([]byte(strings.ReplaceAll(string(list), root, d.folder))); err != nil {
		t.Fatal(err)
	}
	own := strings.NewReplacer(d.folder, root, fmt.Sprint(d.PID), "PID")
	for _, s := range steps {
		var o outcome
		if err := d.answers.Decode(&o); err != nil {
			t.Fatalf("the child has ended: %v", err)
		}
		o.Data = inodes.ReplaceAllString(own.Replace(o.Data), "#N")
		switch s.Call {
		case unix.SYS_OPENAT, unix.SYS_OPENAT2:
			o.Result = min(o.Result, 0) // the Go runtime takes descriptors, too
		case unix.SYS_FCNTL:
			o.Result &^= unix.O_NOFOLLOW // of no effect on an open file, and lost
		}
		made = append(made, o)
	}
	return made
}

// empty removes everything in the folder.
func (d *dialogue) empty(t testing.TB) {
	t.Helper()
	entries, err := os.ReadDir(d.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(d.folder, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

const root = "/ROOT" // stands for the child's folder

// inodes are the names of files that have none, see O_TMPFILE in open(2).
var inodes = regexp.MustCompile(`#\d+`)

// Descriptors that the child has open: a folder, and a file.
const (
	folderFD = 70
	fileFD   = 71
	copyFD   = 72 // of what a step opens
)

// A plan turns bytes into steps.
type plan []byte

func (p *plan) next(below int) int {
	if len(*p) == 0 {
		return 0
	}
	first := (*p)[0]
	*p = (*p)[1:]
	return int(first) % below
}

func pick[T any](p *plan, from []T) T { return from[p.next(len(from))] }

var (
	names = []string{"a", "b", "c", "d", "..", ".", "", "d", strings.Repeat("n", 255), strings.Repeat("n", 256)}
	// Where a path may begin: mostly where the child is.
	origins = []string{"", "", "", "", "", "", "", "", "", "", "", root + "/", "/proc/self/fd/70/", "/proc/self/fd/71/", "/proc/thread-self/fd/71/", "/proc/self/cwd/",
		"/proc/self/root/", "/proc/self/exe/", "/proc/self/fd/", "/proc/self/", "/proc/thread-self/", "/proc/", "/proc/self/task/", "/proc/self/fd/99/"}
	flags = []int{unix.O_RDONLY, unix.O_WRONLY, unix.O_RDWR | unix.O_CREAT, unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY, unix.O_NOFOLLOW,
		unix.O_DIRECTORY, unix.O_DIRECTORY | unix.O_NOFOLLOW, unix.O_TRUNC | unix.O_RDWR, unix.O_CREAT | unix.O_NOFOLLOW, unix.O_TMPFILE | unix.O_RDWR}
	resolves = []int{0, unix.RESOLVE_BENEATH, unix.RESOLVE_IN_ROOT, unix.RESOLVE_NO_SYMLINKS, unix.RESOLVE_NO_MAGICLINKS, unix.RESOLVE_NO_XDEV}
	folders  = []int{unix.AT_FDCWD, unix.AT_FDCWD, unix.AT_FDCWD, folderFD, fileFD, 99}
)

func (p *plan) path() string {
	path := pick(p, origins)
	var parts []string
	for range p.next(5) {
		parts = append(parts, pick(p, names))
	}
	if path += strings.Join(parts, "/"); len(parts) == 0 {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

// steps are what the bytes say, each with paths that may lead anywhere. Calls that Landlock does not restrict, such as
// chmod(2), are not among them: they would change what is outside of the folder.
func (p *plan) steps() (all []step) {
	for len(*p) > 0 {
		at := pick(p, folders)
		switch p.next(12) {
		case 0, 1:
			all = append(all, do(unix.SYS_MKDIRAT, at, p.path(), 0o755))
		case 2, 3:
			all = append(all, do(unix.SYS_SYMLINKAT, gocmp.Or(p.path(), "a"), at, p.path()))
		case 4, 5, 6:
			all = append(all, do(unix.SYS_OPENAT, at, p.path(), pick(p, flags), 0o640), do(unix.SYS_DUP3, back{1}, copyFD, 0),
				do(unix.SYS_READLINKAT, at, fmt.Sprintf("/proc/self/fd/%d", copyFD), buffer{4096}, 4096),
				do(unix.SYS_FCNTL, copyFD, unix.F_GETFL), do(unix.SYS_CLOSE, copyFD), do(unix.SYS_CLOSE, back{5}))
		case 7:
			how := fmt.Sprintf("\x00\x00%c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00%c\x00\x00\x00\x00\x00\x00\x00",
				pick(p, []rune{0, 1, 2, 3}), pick(p, resolves)) // O_DIRECTORY and O_NOFOLLOW
			all = append(all, do(unix.SYS_OPENAT2, at, p.path(), how, 24), do(unix.SYS_CLOSE, back{1}))
		case 8:
			all = append(all, do(unix.SYS_READLINKAT, at, p.path(), buffer{4096}, 4096))
		case 9:
			all = append(all, do(unix.SYS_FACCESSAT2, at, p.path(), p.next(8), pick(p, []int{0, unix.AT_SYMLINK_NOFOLLOW, unix.AT_EACCESS, unix.AT_EMPTY_PATH})))
		case 10:
			all = append(all, do(unix.SYS_RENAMEAT2, at, p.path(), pick(p, folders), p.path(), pick(p, []int{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE})))
		case 11:
			switch p.next(4) {
			case 0:
				all = append(all, do(unix.SYS_UNLINKAT, at, p.path(), pick(p, []int{0, unix.AT_REMOVEDIR})))
			case 1:
				all = append(all, do(unix.SYS_LINKAT, at, p.path(), pick(p, folders), p.path(), pick(p, []int{0, unix.AT_SYMLINK_FOLLOW})))
			case 2:
				all = append(all, do(unix.SYS_TRUNCATE, p.path(), 3))
			case 3:
				all = append(all, do(unix.SYS_STATX, at, p.path(), pick(p, []int{0, unix.AT_SYMLINK_NOFOLLOW, unix.AT_EMPTY_PATH}), unix.STATX_BASIC_STATS, 0))
			}
		}
	}
	return all
}

// FuzzTree lets a child make trees of folders, files and links, and use them by paths that lead through them and through
// the magic links of /proc; what is performed for it must be what the kernel does for another one.
func FuzzTree(f *testing.F) {
	f.Add([]byte("a folder, some links to it, and paths through them"))
	for origin := 10; origin < len(origins); origin++ {
		for kind := range 12 {
			f.Add([]byte{0, byte(kind), byte(origin), 1, 0, 0, byte(origin), 2, 3, 0, byte(kind), byte(origin), 0, 1,
				0, 2, byte(origin), 0, 0, 1, 1, 0, byte(kind), 0, 1, 1, 0, 0, 1})
		}
	}
	beginning := []step{
		do(unix.SYS_CHDIR, root),
		do(unix.SYS_MKDIRAT, unix.AT_FDCWD, "d", 0o755),
		do(unix.SYS_OPENAT, unix.AT_FDCWD, "a", unix.O_CREAT|unix.O_RDWR, 0o644), do(unix.SYS_DUP3, back{1}, fileFD, 0), do(unix.SYS_CLOSE, back{2}),
		do(unix.SYS_OPENAT, unix.AT_FDCWD, "d", unix.O_RDONLY|unix.O_DIRECTORY), do(unix.SYS_DUP3, back{1}, folderFD, 0), do(unix.SYS_CLOSE, back{2}),
	}
	var calls []string
	for _, call := range []int{unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_MKDIRAT, unix.SYS_SYMLINKAT, unix.SYS_READLINKAT, unix.SYS_FACCESSAT2,
		unix.SYS_RENAMEAT2, unix.SYS_UNLINKAT, unix.SYS_LINKAT, unix.SYS_TRUNCATE, unix.SYS_STATX} {
		calls = append(calls, fmt.Sprint(call))
	}
	home := f.TempDir()
	var pair [2]*dialogue
	for i, name := range []string{"by itself", "performed"} {
		folder := filepath.Join(home, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			f.Fatal(err)
		}
		pair[i] = converse(f, folder, [][]string{nil, calls}[i])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 128 {
			return // longer ones tell nothing more, but take longer
		}
		steps := append(beginning[:len(beginning):len(beginning)], (*plan)(&data).steps()...)
		var made [2][]outcome
		var trees [2][]string
		for i, d := range pair {
			d.empty(t)
			made[i] = d.do(t, steps)
			trees[i] = listing(t, d.folder)
		}
		for i := range steps {
			kernel, performed := made[0][i], made[1][i]
			inProc := strings.Contains(fmt.Sprint(steps[min(i, len(beginning)):i+1]), "/proc/")
			switch {
			case kernel == performed, inProc && kernel.Error != "" && performed.Error == "EPERM": // see errInProc
				continue
			case kernel.Error != "" && performed.Error != "" && (slices.Contains(steps[i].Args, any("")) || deputy.Paths(steps[i].Call) > 1):
				continue // of two errors either is told
			case inProc && (performed.Error == "ELOOP" || performed.Error == "ENOENT"): // a magic link on the way, see doc.go
				return
			case kernel.Error == "EAGAIN" || performed.Error == "EAGAIN": // something was renamed meanwhile, see openat2(2)
				return
			}
			t.Fatalf("step %d of %v: %v (-kernel +performed)\n%s", i, steps, steps[i], cmp.Diff(kernel, performed))
		}
		if diff := cmp.Diff(trees[0], trees[1]); diff != "" {
			t.Errorf("%v (-kernel +performed)\n%s", steps, diff)
		}
	})
}
