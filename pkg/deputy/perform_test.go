package deputy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// fill makes a small folder with links of every kind.
func fill(t *testing.T, folder string) {
	t.Helper()
	write(t, folder+"/file", "content")
	mkdir(t, folder+"/folder")
	write(t, folder+"/folder/inner", "inner")
	mkdir(t, folder+"/empty")
	for name, target := range map[string]string{
		"link": "file", "tofolder": "folder", "absolute": folder + "/folder/inner", "dangling": "made", "loop": "loop",
		"nowhere": "missing/made", "up": "../..", "tosubfolder": "folder/new",
	} {
		link(t, target, folder+"/"+name)
	}
}

// opened opens, tells the mode of the descriptor, and closes.
func opened(folder any, path string, flags int) []step {
	return []step{
		do(unix.SYS_OPENAT, folder, path, flags, 0o640),
		do(unix.SYS_FCNTL, back{1}, unix.F_GETFD),
		do(unix.SYS_CLOSE, back{2}),
	}
}

func concat(lists ...[]step) (all []step) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func TestPerformedAsTheKernelDoes(t *testing.T) {
	const create = unix.O_WRONLY | unix.O_CREAT
	cwd := unix.AT_FDCWD
	for name, steps := range map[string][]step{
		"reading": concat(read("file"), read("link"), read("absolute"), read("tofolder/inner"), read("folder/../file"),
			read("missing"), read("loop"), read("dangling"), read("file/"), read("file/.."), read(""), read("..")),
		"close-on-exec": concat(opened(cwd, "file", unix.O_RDONLY|unix.O_CLOEXEC), opened(cwd, "file", unix.O_RDONLY)),
		"a descriptor's folder": concat(
			[]step{do(unix.SYS_OPENAT, cwd, "folder", unix.O_RDONLY|unix.O_DIRECTORY)},
			[]step{do(unix.SYS_OPENAT, back{1}, "inner", unix.O_RDONLY), do(unix.SYS_READ, back{1}, buffer{16}, 16)},
			[]step{do(unix.SYS_OPENAT, back{3}, "../file", unix.O_RDONLY), do(unix.SYS_READ, back{1}, buffer{16}, 16)},
			opened(99, "file", unix.O_RDONLY), opened(-1, "file", unix.O_RDONLY), opened(0, "file", unix.O_RDONLY),
		),
		"another working directory": concat(
			[]step{do(unix.SYS_CHDIR, "folder")}, read("inner"), read("file"), read("../file"),
			opened(cwd, "new", create)),
		"a working directory that is gone": concat(
			[]step{do(unix.SYS_CHDIR, "empty"), do(unix.SYS_UNLINKAT, cwd, "../empty", unix.AT_REMOVEDIR)},
			read("file"), opened(cwd, "new", create), opened(cwd, "../new", create)),
		"creating": concat(
			opened(cwd, "new", create), opened(cwd, "new", create|unix.O_EXCL), opened(cwd, "other", create|unix.O_EXCL),
			opened(cwd, "dangling", create|unix.O_EXCL), opened(cwd, "dangling", create|unix.O_NOFOLLOW),
			opened(cwd, "dangling", create), opened(cwd, "nowhere", create), opened(cwd, "loop", create),
			opened(cwd, "tosubfolder", create), opened(cwd, "link", create|unix.O_TRUNC), opened(cwd, "folder", create),
			opened(cwd, "third/", create), opened(cwd, "file/x", create), opened(cwd, "missing/x", create),
			opened(cwd, ".", create), opened(cwd, "folder/..", create|unix.O_EXCL), opened(cwd, "", create),
			opened(cwd, "folder", create|unix.O_DIRECTORY), opened(cwd, ".", unix.O_RDWR|unix.O_TMPFILE)),
		"the task's own descriptors": {
			do(unix.SYS_OPENAT, cwd, "file", unix.O_RDWR),
			do(unix.SYS_DUP3, back{1}, 77, 0),
			do(unix.SYS_OPENAT, cwd, "/proc/self/fd/77", unix.O_RDONLY),
			do(unix.SYS_READ, back{1}, buffer{16}, 16),
			do(unix.SYS_OPENAT, cwd, "/proc/thread-self/fd/77", unix.O_WRONLY|unix.O_APPEND),
			do(unix.SYS_WRITE, back{1}, "more", 4),
			do(unix.SYS_OPENAT, cwd, "/proc/self/fd/77", create),
			do(unix.SYS_OPENAT, cwd, "/proc/self/fd/77", unix.O_RDONLY|unix.O_NOFOLLOW),
			do(unix.SYS_OPENAT, cwd, "/proc/self/fd/99", unix.O_RDONLY),
			do(unix.SYS_OPENAT, cwd, "/proc/self/fd/77/", unix.O_RDONLY),
		},
		"folders": {
			do(unix.SYS_MKDIRAT, cwd, "new", 0o750), do(unix.SYS_MKDIRAT, cwd, "new", 0o750),
			do(unix.SYS_MKDIRAT, cwd, "dangling", 0o750), do(unix.SYS_MKDIRAT, cwd, "slash/", 0o750),
			do(unix.SYS_UNLINKAT, cwd, "folder", unix.AT_REMOVEDIR), do(unix.SYS_UNLINKAT, cwd, "folder", 0),
			do(unix.SYS_UNLINKAT, cwd, "empty/", unix.AT_REMOVEDIR), do(unix.SYS_UNLINKAT, cwd, ".", unix.AT_REMOVEDIR),
			do(unix.SYS_UNLINKAT, cwd, "folder/..", unix.AT_REMOVEDIR), do(unix.SYS_UNLINKAT, cwd, "file", 1),
		},
		"names": {
			do(unix.SYS_UNLINKAT, cwd, "link", 0), do(unix.SYS_UNLINKAT, cwd, "file/", 0),
			do(unix.SYS_RENAMEAT2, cwd, "file", cwd, "folder/file", 0),
			do(unix.SYS_RENAMEAT2, cwd, "folder/file", cwd, "absolute", unix.RENAME_NOREPLACE),
			do(unix.SYS_RENAMEAT2, cwd, "folder/file", cwd, "absolute", unix.RENAME_EXCHANGE),
			do(unix.SYS_RENAMEAT2, cwd, "folder", cwd, "folder/below", 0),
			do(unix.SYS_LINKAT, cwd, "tofolder/inner", cwd, "hard", 0),
			do(unix.SYS_LINKAT, cwd, "loop", cwd, "hard-link", 0),
			do(unix.SYS_LINKAT, cwd, "loop", cwd, "hard-loop", unix.AT_SYMLINK_FOLLOW),
			do(unix.SYS_SYMLINKAT, "any text", cwd, "new"), do(unix.SYS_SYMLINKAT, "", cwd, "new"),
			do(unix.SYS_MKNODAT, cwd, "fifo", unix.S_IFIFO|0o666, 0),
			do(unix.SYS_READLINKAT, cwd, "tofolder", buffer{4}, 4), do(unix.SYS_READLINKAT, cwd, "tofolder", buffer{64}, 64),
			do(unix.SYS_READLINKAT, cwd, "folder", buffer{64}, 64), do(unix.SYS_READLINKAT, cwd, "loop", buffer{64}, 0),
		},
		"facts": {
			do(unix.SYS_FACCESSAT, cwd, "file", 6), do(unix.SYS_FACCESSAT, cwd, "file", 1), do(unix.SYS_FACCESSAT, cwd, "file", 8),
			do(unix.SYS_FACCESSAT2, cwd, "loop", 0, unix.AT_SYMLINK_NOFOLLOW), do(unix.SYS_FACCESSAT2, cwd, "loop", 0, 0),
			do(unix.SYS_FACCESSAT2, cwd, "file", 0, 1<<20), do(unix.SYS_STATFS, "missing", 1),
			do(unix.SYS_STATX, cwd, "missing", 0, 0, buffer{256}), do(unix.SYS_STATX, cwd, "file", 0, 0, 1),
		},
		"contents and modes": {
			do(unix.SYS_TRUNCATE, "link", 3), do(unix.SYS_TRUNCATE, "folder", 3), do(unix.SYS_TRUNCATE, "file", -1),
			do(unix.SYS_FCHMODAT, cwd, "link", 0o600), do(unix.SYS_FCHMODAT, cwd, "dangling", 0o600),
			do(unix.SYS_FCHOWNAT, cwd, "file", -1, -1, 0), do(unix.SYS_FCHOWNAT, cwd, "loop", -1, -1, unix.AT_SYMLINK_NOFOLLOW),
			do(unix.SYS_UTIMENSAT, cwd, "link", 0, 0), do(unix.SYS_UTIMENSAT, cwd, "loop", 0, 0),
		},
		"the mask of new files": concat(
			[]step{do(unix.SYS_UMASK, 0o077)}, opened(cwd, "new", create), []step{do(unix.SYS_MKDIRAT, cwd, "new-folder", 0o777)},
			[]step{do(unix.SYS_UMASK, 0)}, opened(cwd, "open", create)),
	} {
		t.Run(name, func(t *testing.T) { expectSame(t, fill, steps...) })
	}
}

// The memory says something else by the time of the call: what was judged counts.
func TestTheJudgedBytesArePerformed(t *testing.T) {
	folder := t.TempDir()
	write(t, folder+"/good", "good")
	write(t, folder+"/evil", "evil")
	rewrite := func(d *deputy.Deputy, n *notify.Notification) (*deputy.Result, supervise.Action) {
		path, err := stringAt(n, n.Args()[1])
		if err != nil || path != "good" {
			return nil, supervise.Fail(unix.EPERM)
		}
		if err := n.Write([]byte("evil"), n.Args()[1]); err != nil {
			return nil, supervise.Fail(unix.EFAULT)
		}
		return performed(d.Perform(n, path))
	}
	done := start(t, grants{cwd: folder}, []string{"openat"}, rewrite, read("good")...).finish(t)
	if done[1].Data != "good" {
		t.Errorf("the child reads %q, not what was judged", done[1].Data)
	}
}

// What the host may do and the child may not stays undone, and so it does for paths that the host has chosen.
func TestPerformedInsideTheDomain(t *testing.T) {
	outside := t.TempDir()
	write(t, outside+"/secret", "secret")
	mkdir(t, outside+"/folder")
	before := listing(t, outside)
	cwd, secret, made := unix.AT_FDCWD, outside+"/secret", outside+"/made"
	folder := t.TempDir()
	link(t, secret, folder+"/link")
	link(t, outside, folder+"/out")
	steps := []step{
		do(unix.SYS_OPENAT, cwd, secret, unix.O_RDONLY),
		do(unix.SYS_OPENAT, cwd, secret, unix.O_WRONLY|unix.O_TRUNC),
		do(unix.SYS_OPENAT, cwd, outside, unix.O_RDONLY|unix.O_DIRECTORY),
		do(unix.SYS_OPENAT, cwd, made, unix.O_WRONLY|unix.O_CREAT, 0o600),
		do(unix.SYS_OPENAT, cwd, outside, unix.O_WRONLY|unix.O_TMPFILE, 0o600),
		do(unix.SYS_OPENAT, cwd, "link", unix.O_RDONLY),
		do(unix.SYS_OPENAT, cwd, "out/secret", unix.O_RDONLY),
		do(unix.SYS_OPENAT, cwd, "out/made", unix.O_WRONLY|unix.O_CREAT, 0o600),
		do(unix.SYS_MKDIRAT, cwd, made, 0o700),
		do(unix.SYS_SYMLINKAT, "text", cwd, made),
		do(unix.SYS_UNLINKAT, cwd, secret, 0),
		do(unix.SYS_UNLINKAT, cwd, outside+"/folder", unix.AT_REMOVEDIR),
		do(unix.SYS_RENAMEAT2, cwd, secret, cwd, made, 0),
		do(unix.SYS_TRUNCATE, secret, 0),
		do(unix.SYS_OPENAT, cwd, fmt.Sprintf("/proc/%d/environ", os.Getpid()), unix.O_RDONLY),
		do(unix.SYS_OPENAT, cwd, "/proc/1/root/etc/passwd", unix.O_RDONLY),
	}
	done := start(t, grants{cwd: folder}, everyCall(steps), perform, steps...).finish(t)
	for i, o := range done {
		if o.Error != "EACCES" && o.Error != "ELOOP" { // ELOOP: a magic link of another process
			t.Errorf("step %v: %+v", steps[i], o)
		}
	}
	if diff := cmp.Diff(before, listing(t, outside)); diff != "" {
		t.Errorf("changed (-before +after)\n%s", diff)
	}
	choose := func(d *deputy.Deputy, n *notify.Notification) (*deputy.Result, supervise.Action) {
		return performed(d.Perform(n, secret))
	}
	if done := start(t, grants{cwd: folder}, []string{"openat"}, choose, read("link")...).finish(t); done[0].Error != "EACCES" {
		t.Errorf("the path of the host's choice: %+v", done[0])
	}
}

// Names that lead elsewhere than to what was judged do nothing, and tell where they lead.
func TestJudgedNames(t *testing.T) {
	cwd := unix.AT_FDCWD
	for name, test := range map[string]struct {
		step     step
		judged   string // the name below the folder
		unjudged string
	}{
		"the file itself":          {do(unix.SYS_OPENAT, cwd, "file", unix.O_RDONLY), "file", ""},
		"a link to it":             {do(unix.SYS_OPENAT, cwd, "link", unix.O_RDONLY), "file", ""},
		"a link to something else": {do(unix.SYS_OPENAT, cwd, "link", unix.O_RDONLY), "link", "file"},
		"a link on the way":        {do(unix.SYS_OPENAT, cwd, "tofolder/inner", unix.O_RDONLY), "tofolder/inner", "folder/inner"},
		"a new file":               {do(unix.SYS_OPENAT, cwd, "new", unix.O_WRONLY|unix.O_CREAT), "new", ""},
		"another new file":         {do(unix.SYS_OPENAT, cwd, "new", unix.O_WRONLY|unix.O_CREAT), "file", "new"},
		"a new file behind a link": {do(unix.SYS_OPENAT, cwd, "dangling", unix.O_WRONLY|unix.O_CREAT), "dangling", "made"},
		"a file to be emptied":     {do(unix.SYS_OPENAT, cwd, "link", unix.O_WRONLY|unix.O_TRUNC), "link", "file"},
		"a file to be removed":     {do(unix.SYS_UNLINKAT, cwd, "tofolder/inner", 0), "tofolder/inner", "folder/inner"},
		"the second of two":        {do(unix.SYS_RENAMEAT2, cwd, "file", cwd, "tofolder/new", 0), "file", "folder/new"},
		"a folder to be made":      {do(unix.SYS_MKDIRAT, cwd, "up/made", 0o700), "made", "../../made"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "cwd")
			mkdir(t, folder)
			fill(t, folder)
			before := listing(t, folder)
			var unjudged atomic.Value
			judge := func(d *deputy.Deputy, n *notify.Notification) (*deputy.Result, supervise.Action) {
				paths, err := pathsOf(n)
				if err != nil {
					return nil, supervise.Fail(unix.EFAULT)
				}
				result, err := d.PerformJudged(n, []string{filepath.Join(folder, test.judged)}, paths...)
				if err == nil && result.Unjudged != "" {
					unjudged.Store(result.Unjudged)
					return nil, supervise.Fail(unix.EXDEV)
				}
				return performed(result, err)
			}
			done := start(t, grants{cwd: folder}, everyCall([]step{test.step}), judge, test.step).finish(t)
			if test.unjudged == "" {
				if done[0].Error != "" {
					t.Errorf("not performed: %+v", done[0])
				}
				return
			}
			if got, want := unjudged.Load(), filepath.Join(folder, test.unjudged); got != want {
				t.Errorf("unjudged is %v, not %v", got, want)
			}
			if diff := cmp.Diff(before, listing(t, folder)); diff != "" {
				t.Errorf("changed (-before +after)\n%s", diff)
			}
		})
	}
}

// What /proc shows as the own process is the child's.
func TestOwnFilesAreTheChilds(t *testing.T) {
	host := fmt.Sprintf("/proc/%d/status", os.Getpid())
	steps := concat([]step{do(unix.SYS_GETPID)}, read("/proc/self/status"), read(host), read("/proc/thread-self/status"),
		[]step{do(unix.SYS_READLINKAT, unix.AT_FDCWD, "/proc/self", buffer{32}, 32)})
	for i := range steps {
		if steps[i].Call == unix.SYS_READ {
			steps[i].Args = []any{back{1}, buffer{1024}, 1024}
		}
	}
	calls := []string{"openat", "readlinkat"}
	done := start(t, grants{cwd: t.TempDir(), readable: []string{"/proc"}}, calls, perform, steps...).finish(t)
	want := fmt.Sprintf("\nPid:\t%d\n", done[0].Result)
	for i, o := range done[1:] {
		if steps[i+1].Call == unix.SYS_READ && !strings.Contains(o.Data, want) {
			t.Errorf("step %d is not of the child: %+v", i+1, o)
		}
	}
	if self := done[len(done)-1].Data; self != fmt.Sprint(done[0].Result) {
		t.Errorf("/proc/self leads to %s", self)
	}
}

func TestWhatCannotBePerformed(t *testing.T) {
	asked := make(chan error, 3)
	ask := func(d *deputy.Deputy, n *notify.Notification) (*deputy.Result, supervise.Action) {
		switch n.Syscall() {
		case unix.SYS_CHDIR:
			_, err := d.Perform(n, "file")
			asked <- err
		default:
			_, err := d.Perform(n)
			asked <- err
			_, err = d.Perform(n, "a", "b")
			asked <- err
		}
		return nil, supervise.Fail(unix.EXDEV)
	}
	steps := []step{do(unix.SYS_CHDIR, "file"), do(unix.SYS_MKDIRAT, unix.AT_FDCWD, "new", 0o700)}
	done := start(t, grants{cwd: t.TempDir()}, []string{"chdir", "mkdirat"}, ask, steps...).finish(t)
	if diff := cmp.Diff([]outcome{{Result: -1, Error: "EXDEV"}, {Result: -1, Error: "EXDEV"}}, done); diff != "" {
		t.Error(diff)
	}
	if err := <-asked; !errors.Is(err, deputy.ErrUnsupported) {
		t.Errorf("chdir: %v", err)
	}
	for _, count := range []string{"0", "2"} {
		if err := <-asked; err == nil || !strings.Contains(err.Error(), "takes 1 paths, not "+count) {
			t.Errorf("%s paths: %v", count, err)
		}
	}
}

// A path from elsewhere may hold what no path of the kernel's can.
func TestPathsThatAreNone(t *testing.T) {
	folder := t.TempDir()
	write(t, folder+"/file", "content")
	for path, want := range map[string]string{
		"file\x00x": "EINVAL", strings.Repeat("x", 256): "ENAMETOOLONG", strings.Repeat("./", 2048) + "file": "ENAMETOOLONG",
	} {
		redirect := func(d *deputy.Deputy, n *notify.Notification) (*deputy.Result, supervise.Action) {
			return performed(d.Perform(n, path))
		}
		for _, flags := range []int{unix.O_RDONLY, unix.O_WRONLY | unix.O_CREAT} {
			open := do(unix.SYS_OPENAT, unix.AT_FDCWD, "file", flags, 0o600)
			if done := start(t, grants{cwd: folder}, []string{"openat"}, redirect, open).finish(t); done[0].Error != want {
				t.Errorf("%.20q: %+v, not %s", path, done[0], want)
			}
		}
	}
}
