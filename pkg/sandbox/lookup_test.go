package sandbox_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/sandbox"
	"sandlock/pkg/supervise"
)

// write makes a file, and the folders that it needs.
func write(t *testing.T, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// folders has a program "prog" in some of its folders: each prints which one it is.
func folders(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"first", "second"} {
		write(t, filepath.Join(root, folder, "prog"), "#!/bin/sh\necho "+folder+"\n", 0o755)
	}
	write(t, filepath.Join(root, "text", "prog"), "#!/bin/sh\necho text\n", 0o644)
	write(t, filepath.Join(root, "folder", "prog", "file"), "", 0o644)
	if err := os.Mkdir(filepath.Join(root, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestPathLookup(t *testing.T) {
	root := folders(t)
	t.Chdir(filepath.Join(root, "second"))
	for _, test := range []struct {
		name, path string // % is the root
		want       string // what is printed
		err        string // or why nothing was
	}{
		{"the first of two", "%/first:%/second", "first", ""},
		{"the second of two", "%/second:%/first", "second", ""},
		{"not in the first", "%/empty:%/second", "second", ""},
		{"a missing folder first", "%/none:%/second", "second", ""},
		{"not executable in the first", "%/text:%/second", "second", ""},
		{"a folder of that name first", "%/folder:%/second", "second", ""},
		{"an empty entry first", ":%/first", "second", ""},
		{"an empty entry last", "%/empty:", "second", ""},
		{"an empty entry between", "%/empty::%/first", "second", ""},
		{"an empty PATH", "", "second", ""},
		{"a relative entry", "../first", "first", ""},
		{"nowhere", "%/empty", "", `cannot execute "prog": not found on PATH (%/empty)`},
		{"only a folder of that name", "%/folder", "", `cannot execute "prog": not found on PATH (%/folder)`},
		{"only where it is not executable", "%/empty:%/text", "", "cannot execute %/text/prog: permission denied: " +
			"it has no execute permission, or it or its interpreter is not beneath fs_readable or fs_writable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rooted := func(text string) string { return strings.ReplaceAll(text, "%", root) }
			c := command("prog")
			c.Environ = []string{"PATH=" + rooted(test.path)}
			expectRun(t, newSandbox(root), c, test.want, rooted(test.err))
		})
	}
}

// expectRun runs what prints a line, or cannot be executed for a reason that is an error and the command's last words.
func expectRun(t *testing.T, s *sandbox.Sandbox, c sandbox.Command, line, reason string) {
	t.Helper()
	result := run(t, s, c)
	if reason == "" {
		expect(t, exited(0, line+"\n"), result)
		return
	}
	got := ""
	if result.Err != nil {
		got, result.Err = result.Err.Error(), nil
	}
	if got != reason {
		t.Errorf("error %q\nwant  %q", got, reason)
	}
	expect(t, &sandbox.Result{ExitCode: 127, Stderr: []byte("sandlock: " + reason + "\n")}, result)
}

// The search goes on past what execve refuses, as that of execvp(3) does; only the sandbox knows what it lets be executed.
func TestLookupPastWhatIsRefused(t *testing.T) {
	root, outside := folders(t), folders(t)
	orphan := write(t, filepath.Join(root, "orphan", "prog"), "#!/none/sh\n", 0o755)
	const refused = ": permission denied: it has no execute permission, or it or its interpreter is not beneath fs_readable or fs_writable"
	for _, test := range []struct {
		name, path string // % is the root, @ another one, which is not granted
		want       string // what is printed
		err        string // or why nothing was
	}{
		{"not granted in the first", "@/first:%/second", "second", ""},
		{"not granted in two", "@/first:@/second:%/first", "first", ""},
		{"without interpreter in the first", "%/orphan:%/second", "second", ""},
		{"granted nowhere", "@/second:@/first", "", "cannot execute @/second/prog" + refused},
		{"granted without interpreter, and elsewhere not granted", "%/orphan:@/first", "", "cannot execute @/first/prog" + refused},
		{"the other way round", "@/first:%/orphan", "", "cannot execute @/first/prog" + refused},
		{"without interpreter everywhere", "%/orphan", "",
			"cannot execute " + orphan + ": no such file or directory: no such file, or the interpreter that it names is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rooted := strings.NewReplacer("%", root, "@", outside).Replace
			c := command("prog")
			c.Environ = []string{"PATH=" + rooted(test.path)}
			expectRun(t, newSandbox(root), c, test.want, rooted(test.err))
		})
	}
}

// A handler is asked about every attempt, and ends the search with an answer that is no refusal.
func TestHandledLookup(t *testing.T) {
	root := folders(t)
	c := command("prog")
	c.Environ = []string{"PATH=" + root + "/first:" + root + "/second"}
	for name, test := range map[string]struct {
		answer  supervise.Action
		calls   int
		refusal unix.Errno
	}{
		"refused":                {supervise.Fail(unix.EACCES), 2, unix.EACCES},
		"failed":                 {supervise.Fail(unix.EPERM), 1, unix.EPERM},
		"said to have succeeded": {supervise.Return(0), 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			s := newSandbox(root)
			s.Handlers = []sandbox.Registration{{Syscall: "execve", Handler: supervise.HandlerFunc(
				func(*notify.Notification) supervise.Action { calls++; return test.answer })}}
			result := run(t, s, c)
			if result.ExitCode != 127 || test.refusal != 0 && !errors.Is(result.Err, test.refusal) || calls != test.calls {
				t.Errorf("exit code %d, error %v, %d calls; want 127, %v, %d", result.ExitCode, result.Err, calls, test.refusal, test.calls)
			}
		})
	}
}

func TestLookupWithoutPath(t *testing.T) {
	c := command("true")
	c.Environ = nil
	expectRun(t, newSandbox(), c, "", `cannot execute "true": not found on PATH: the command has no PATH`)
}

// It is the command's PATH that counts, not the host's.
func TestLookupOnThePolicysPath(t *testing.T) {
	root := folders(t)
	t.Setenv("PATH", filepath.Join(root, "first"))
	s := newSandbox(root)
	s.Policy.Env = map[string]string{"PATH": filepath.Join(root, "second")}
	c := command("prog")
	c.Environ = []string{"PATH=" + filepath.Join(root, "first")}
	expectRun(t, s, c, "second", "")
}

func TestNoLookupWithASlash(t *testing.T) {
	root := folders(t)
	t.Chdir(root)
	c := command("second/prog")
	c.Environ = []string{"PATH=" + filepath.Join(root, "first")}
	expectRun(t, newSandbox(root), c, "second", "")
}

// Relative entries start where the command does, as for execvp(3) after a change of the directory.
func TestLookupInTheCommandsFolder(t *testing.T) {
	root := folders(t)
	t.Chdir(filepath.Join(root, "first"))
	for name, path := range map[string]string{"an empty entry": "", "a dot": ".", "another folder": "../second"} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox(root)
			s.Policy.Cwd = "../second"
			c := command("prog")
			c.Environ = []string{"PATH=" + path}
			expectRun(t, s, c, "second", "")
		})
	}
	t.Run("not in the host's", func(t *testing.T) {
		s := newSandbox(root)
		s.Policy.Cwd = filepath.Join(root, "empty")
		c := command("prog")
		c.Environ = []string{"PATH=."}
		expectRun(t, s, c, "", `cannot execute "prog": not found on PATH (.)`)
	})
}

// A folder that the user may not search is passed over.
func TestLookupPastAClosedFolder(t *testing.T) {
	if unix.Geteuid() == 0 {
		t.Skip("root may search every folder")
	}
	root := folders(t)
	closed := filepath.Join(root, "first")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(closed, 0o755)
	c := command("prog")
	c.Environ = []string{"PATH=" + closed + ":" + filepath.Join(root, "second")}
	expectRun(t, newSandbox(root), c, "second", "")
}
