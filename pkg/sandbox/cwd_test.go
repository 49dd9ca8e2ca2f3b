package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pwd prints the directory by its real path.
func TestWorkingDirectory(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	host := filepath.Join(root, "host")
	for _, folder := range []string{"host/beneath", "beside", "\xff\xfe bytes"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("beside", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(host)
	for name, test := range map[string]struct{ cwd, want string }{
		"the host's":    {"", host},
		"absolute":      {root + "/beside", root + "/beside"},
		"relative":      {"beneath", host + "/beneath"},
		"up and down":   {"../beside", root + "/beside"},
		"by a link":     {root + "/link", root + "/beside"},
		"not UTF-8":     {root + "/\xff\xfe bytes", root + "/\xff\xfe bytes"},
		"extra slashes": {root + "//beside/.", root + "/beside"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox()
			s.Policy.Cwd = test.cwd
			expect(t, exited(0, test.want+"\n"), run(t, s, command("/bin/pwd", "-P")))
		})
	}
}

func TestWorkingDirectoryThatCannotBe(t *testing.T) {
	root := t.TempDir()
	deleted := filepath.Join(root, "deleted")
	if err := errors.Join(os.Mkdir(deleted, 0o755), os.Remove(deleted)); err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(root, "file"), "", 0o644)
	for name, test := range map[string]struct {
		cwd   string
		errno unix.Errno
	}{
		"deleted":           {deleted, unix.ENOENT},
		"a file":            {file, unix.ENOTDIR},
		"beneath a file":    {file + "/x", unix.ENOTDIR},
		"a dangling link":   {link(t, deleted, filepath.Join(root, "dangling")), unix.ENOENT},
		"a link to itself":  {link(t, "loop", filepath.Join(root, "loop")), unix.ELOOP},
		"the name too long": {filepath.Join(root, strings.Repeat("x", 300)), unix.ENAMETOOLONG},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox()
			s.Policy.Cwd = test.cwd
			err := refused(t, s, command("true"))
			expectPolicyError(t, "cwd", err)
			if !errors.Is(err, test.errno) {
				t.Errorf("%v is not %v", err, test.errno)
			}
		})
	}
}

func link(t *testing.T, target, path string) string {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHostsDirectoryWasDeleted(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	expect(t, exited(0, "works\n"), run(t, newSandbox(), command("echo", "works")))
	t.Run("with another for the command", func(t *testing.T) {
		s := newSandbox()
		s.Policy.Cwd = "/usr"
		expect(t, exited(0, "/usr\n"), run(t, s, command("/bin/pwd", "-P")))
	})
}

// The step that failed is named, also when it is one of the launcher's.
func TestWorkingDirectoryThatMayNotBeEntered(t *testing.T) {
	if unix.Geteuid() == 0 {
		t.Skip("root may enter every folder")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o000); err != nil {
		t.Fatal(err)
	}
	s := newSandbox()
	s.Policy.Cwd = closed
	want := "confine the command: change to the working directory: permission denied"
	before := held(t)
	if err := refused(t, s, command("true")); err.Error() != want || !errors.Is(err, unix.EACCES) {
		t.Errorf("%v; want %s", err, want)
	}
	expectNothingLeft(t, before)
}
