package landlock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

func TestPathsThatCannotBeUsed(t *testing.T) {
	root := tree(t, "file")
	for link, target := range map[string]string{"dangling": "nowhere", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	pipe := make([]int, 2)
	if err := unix.Pipe2(pipe, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	pipePath := fmt.Sprintf("/proc/self/fd/%d", pipe[0])
	long := strings.Repeat("x", 256)
	abi := newest(t)

	for _, field := range []string{"fs_readable", "fs_writable", "fs_denied"} {
		for _, test := range []struct {
			path, problem string
			cause         error
		}{
			{root + "/nowhere", "does not exist", unix.ENOENT},
			{root + "/no\xffwhere/file", "does not exist", unix.ENOENT},
			{root + "/dangling", "is a symbolic link whose target does not exist", unix.ENOENT},
			{root + "/file/beneath", "leads through something that is not a folder", unix.ENOTDIR},
			{root + "/loop", "leads through too many symbolic links", unix.ELOOP},
			{root + "/" + long, "is too long for the kernel", unix.ENAMETOOLONG},
			{root + strings.Repeat("/.", 4096), "is too long for the kernel", unix.ENAMETOOLONG},
		} {
			checkPathError(t, field, test.path, test.problem, test.cause, abi)
		}
	}
	checkPathError(t, "fs_readable", pipePath, "is a pipe, a socket or the like, which Landlock has no rules for", unix.EBADFD, abi)
	checkPathError(t, "fs_denied", pipePath, fmt.Sprintf("is no file beneath the root folder but %q", readlink(t, pipePath)), nil, abi)
}

func checkPathError(t *testing.T, field, path, problem string, cause error, abi int) {
	t.Helper()
	p := &policy.Policy{AllowDegraded: all()}
	list := map[string]*[]string{"fs_readable": &p.FSReadable, "fs_writable": &p.FSWritable, "fs_denied": &p.FSDenied}[field]
	*list = []string{"/", path}
	ruleset, err := Build(p, abi)
	if err == nil {
		ruleset.Close()
	}
	var fault *policy.Error
	if !errors.As(err, &fault) {
		t.Errorf("%s %q: error %v is no *policy.Error", field, path, err)
		return
	}
	want := policy.Error{Field: field, Value: path, Problem: problem, Hint: fault.Hint, Cause: cause}
	if diff := cmp.Diff(want, *fault, cmp.Comparer(func(a, b error) bool { return a == b })); diff != "" {
		t.Errorf("%s %q (-want +got):\n%s", field, path, diff)
	}
	if fault.Hint == "" {
		t.Errorf("%s %q: no way out in %v", field, path, err)
	}
}

func readlink(t *testing.T, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestPathBehindAClosedFolder(t *testing.T) {
	if unix.Geteuid() == 0 {
		t.Skip("root may search every folder")
	}
	root := tree(t, "closed/file")
	if err := os.Chmod(root+"/closed", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(root+"/closed", 0o700) })
	checkPathError(t, "fs_readable", root+"/closed/file", "is behind a folder that this user may not search", unix.EACCES, newest(t))
}

func TestRelativePaths(t *testing.T) {
	root := tree(t, "r/file", "w/file", "w/secret")
	t.Chdir(root)
	p := &policy.Policy{FSReadable: []string{"r"}, FSWritable: []string{"./r/../w"}, FSDenied: []string{"w/secret"}, AllowDegraded: all()}
	got := confined(t, p, newest(t), attempts{
		"read": read("r/file"), "write": write("w/file"), "list": listed("."), "denied": read("w/secret"),
	})
	expect(t, map[string]string{"read": "ok", "write": "ok", "list": "EACCES", "denied": "EACCES"}, got)
}

func TestRelativePathInADeletedFolder(t *testing.T) {
	root := tree(t, "file", "gone/file")
	t.Chdir(root + "/gone")
	if err := os.RemoveAll(root + "/gone"); err != nil {
		t.Fatal(err)
	}
	checkPathError(t, "fs_readable", "file", "is a relative path, and the working directory has been deleted", unix.ENOENT, newest(t))
	got := confined(t, &policy.Policy{FSReadable: []string{root}, FSDenied: []string{root + "/file"}, AllowDegraded: all()}, newest(t),
		attempts{"list": listed(root), "denied": read(root + "/file")})
	expect(t, map[string]string{"list": "ok", "denied": "EACCES"}, got)
}

func TestPathsAreBytes(t *testing.T) {
	const name = "caf\xe9 \n\x01"
	root := tree(t, name+"/file", name+"/"+name, "other/file")
	p := &policy.Policy{FSReadable: []string{root + "/" + name}, FSDenied: []string{root + "/" + name + "/" + name}, AllowDegraded: all()}
	got := confined(t, p, newest(t), attempts{
		"granted": read(root + "/" + name + "/file"), "denied": read(root + "/" + name + "/" + name), "other": read(root + "/other/file"),
	})
	expect(t, map[string]string{"granted": "ok", "denied": "EACCES", "other": "EACCES"}, got)
}

func TestSymbolicLinkIsFollowed(t *testing.T) {
	root := tree(t, "target/file", "next/file")
	if err := os.Symlink("target", root+"/link"); err != nil {
		t.Fatal(err)
	}
	abi := newest(t)
	ruleset, err := Build(&policy.Policy{FSReadable: []string{root + "/link"}, AllowDegraded: all()}, abi)
	if err != nil {
		t.Fatal(err)
	}
	defer ruleset.Close()
	// What the link led to when the ruleset was built counts, not what it leads to later.
	if err := os.Remove(root + "/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("next", root+"/link"); err != nil {
		t.Fatal(err)
	}
	expect(t, map[string]string{"target": "ok", "by the swapped link": "EACCES"},
		onConfinedThread(ruleset, attempts{"target": read(root + "/target/file"), "by the swapped link": read(root + "/link/file")}))
}

func TestManyPaths(t *testing.T) {
	const count = 10_000
	root := tree(t, "keep")
	p := &policy.Policy{AllowDegraded: all()}
	for i := range count {
		path := fmt.Sprintf("%s/%05d", root, i)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p.FSReadable = append(p.FSReadable, path)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: 100, Max: before.Max} // so that none may be held
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	defer unix.Prlimit(0, unix.RLIMIT_NOFILE, &before, nil)
	got := confined(t, p, newest(t), attempts{
		"first": read(p.FSReadable[0]), "last": read(p.FSReadable[count-1]), "other": read(root + "/keep"),
	})
	expect(t, map[string]string{"first": "ok", "last": "ok", "other": "EACCES"}, got)
}

func TestNothingLeaksWhenBuildFails(t *testing.T) {
	root := tree(t, "d/file", "d/secret")
	abi := newest(t)
	bad := []policy.Policy{
		{FSReadable: []string{root, root + "/nowhere"}},
		{FSReadable: []string{root}, FSDenied: []string{root + "/d/secret"}, FSWritable: []string{root + "/nowhere"}},
		{FSDenied: []string{root + "/d/secret", root + "/nowhere"}},
	}
	before := openFDs(t)
	for _, p := range bad {
		p.AllowDegraded = all()
		if ruleset, err := Build(&p, abi); err == nil {
			t.Errorf("Build(%+v) succeeded", p)
			ruleset.Close()
		}
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
}

func TestRulesetClose(t *testing.T) {
	abi := newest(t)
	before := openFDs(t)
	ruleset, err := Build(&policy.Policy{FSReadable: []string{"/"}, AllowDegraded: all()}, abi)
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(ruleset.Fd()), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags of the descriptor: %#x, %v, want FD_CLOEXEC", flags, err)
	}
	for range 2 {
		if err := ruleset.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d file descriptors before, %d after", before, after)
	}
}

// What a command may have made decides nothing: neither a link in a folder that it may write, nor one that appears there
// while the path is opened.
func TestLinksThatTheCommandMayHaveMade(t *testing.T) {
	root := tree(t, "w/folder/file", "outside/file")
	for link, target := range map[string]string{"w/planted": "../outside", "w/folder/up": "/", "harmless": "w/folder", "tow": "w"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(root)
	for _, test := range []struct{ field, path, link string }{
		{"fs_readable", root + "/w/planted", root + "/w/planted"},
		{"fs_writable", root + "/w/planted", root + "/w/planted"},
		{"fs_denied", root + "/w/planted", root + "/w/planted"},
		{"fs_readable", root + "/w/planted/file", root + "/w/planted"},
		{"fs_readable", root + "/w/folder/../planted", root + "/w/folder/../planted"},
		{"fs_readable", root + "/w/folder/up" + root + "/outside", root + "/w/folder/up"},
		{"fs_readable", root + "/harmless/up", root + "/w/folder/up"},
		{"fs_readable", root + "/harmless/../planted", root + "/w/folder/../planted"},
		{"fs_readable", "w/planted", root + "/w/planted"},
		{"fs_readable", root + "/harmless", ""},
		{"fs_readable", root + "/w/folder", ""},
		{"fs_readable", "/proc/self/cwd/outside", ""},
	} {
		// The writable folder is known by its real path, whatever the policy calls it.
		p := &policy.Policy{FSWritable: []string{root + "/tow"}, AllowDegraded: all()}
		list := map[string]*[]string{"fs_readable": &p.FSReadable, "fs_writable": &p.FSWritable, "fs_denied": &p.FSDenied}[test.field]
		*list = append(*list, test.path)
		ruleset, err := Build(p, newest(t))
		if err == nil {
			ruleset.Close()
		}
		var link *policy.Error
		switch {
		case test.link == "" && err != nil:
			t.Errorf("%s %q: %v", test.field, test.path, err)
		case test.link != "" && (!errors.As(err, &link) || link.Field != test.field || !strings.Contains(link.Problem, test.link)):
			t.Errorf("%s %q: %v, want an error about %q", test.field, test.path, err, test.link)
		}
	}
}

// What the command may write anyway it may also be led to; but not away from what is denied.
func TestLinksToWhatMayBeWritten(t *testing.T) {
	root := tree(t, "w/folder/file", "outside/file")
	for link, target := range map[string]string{"w/inner": "folder", "w/planted": "../outside", "w/back": "../w/folder"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	w := root + "/w"
	for _, test := range []struct {
		name                       string
		writable, readable, denied []string
		refused                    bool
	}{
		{name: "inside", writable: []string{w}, readable: []string{w + "/inner", w + "/inner/file", w + "/back"}},
		{name: "inside, to be written", writable: []string{w, w + "/inner"}},
		{name: "everything", writable: []string{"/"}, readable: []string{w + "/planted"}},
		{name: "outside", writable: []string{w}, readable: []string{w + "/planted"}, refused: true},
		{name: "outside, which is listed by the link", writable: []string{w, w + "/planted"}, refused: true},
		{name: "denied", writable: []string{w}, denied: []string{w + "/inner"}, refused: true},
	} {
		ruleset, err := Build(&policy.Policy{FSWritable: test.writable, FSReadable: test.readable, FSDenied: test.denied,
			AllowDegraded: all()}, newest(t))
		if err == nil {
			ruleset.Close()
		}
		if fault := (*policy.Error)(nil); errors.As(err, &fault) != test.refused || err != nil && !test.refused {
			t.Errorf("%s: %v, want refused: %v", test.name, err, test.refused)
		}
	}
}
