package sandbox_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

func TestCannotExecute(t *testing.T) {
	root := t.TempDir()
	file := func(name, content string) string { return write(t, filepath.Join(root, name), content, 0o755) }
	const (
		missing = "no such file, or the interpreter that it names is missing"
		refused = "it has no execute permission, or it or its interpreter is not beneath fs_readable or fs_writable"
		tooLong = "the arguments and the environment are too long for the kernel (see execve(2): ARG_MAX)"
		foreign = "it is no program of this machine, and has no #! line"
	)
	outside := write(t, filepath.Join(t.TempDir(), "prog"), "#!/bin/sh\n", 0o755)
	for _, test := range []struct {
		name  string
		args  []string
		errno unix.Errno
		hint  string
	}{
		{"no such file", []string{root + "/none"}, unix.ENOENT, missing},
		{"no such interpreter", []string{file("orphan", "#!/none/sh\n")}, unix.ENOENT, missing},
		{"not executable", []string{write(t, root+"/text", "#!/bin/sh\n", 0o644)}, unix.EACCES, refused},
		{"a folder", []string{root}, unix.EACCES, refused},
		{"not granted", []string{outside}, unix.EACCES, refused},
		{"an interpreter that is not granted", []string{file("shy", "#!"+outside+"\n")}, unix.EACCES, refused},
		{"no program", []string{file("prose", "just text\n")}, unix.ENOEXEC, foreign},
		{"an argument too long", []string{"/bin/true", strings.Repeat("x", 128<<10)}, unix.E2BIG, tooLong},
		{"a path through a file", []string{root + "/prose/x"}, unix.ENOTDIR, ""},
		{"a path too long", []string{"/" + strings.Repeat("x", 5000)}, unix.ENAMETOOLONG, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			reason := "cannot execute " + test.args[0] + ": " + test.errno.Error()
			if test.hint != "" {
				reason += ": " + test.hint
			}
			expectRun(t, newSandbox(root), command(test.args...), "", reason)
			if result := run(t, newSandbox(root), command(test.args...)); !errors.Is(result.Err, test.errno) {
				t.Errorf("%v is not %v", result.Err, test.errno)
			}
		})
	}
}

func TestPolicyThatGrantsNothing(t *testing.T) {
	result := run(t, &sandbox.Sandbox{Policy: policy.Policy{AllowDegraded: policy.Protections()}}, command("true"))
	if result.ExitCode != 127 || !errors.Is(result.Err, unix.EACCES) {
		t.Errorf("exit code %d, error %v; want 127 and EACCES", result.ExitCode, result.Err)
	}
}

func TestLongArgument(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	result := run(t, newSandbox(), command("echo", long))
	expectBytes(t, "stdout", []byte(long+"\n"), result.Stdout)
	result.Stdout = nil
	expect(t, exited(0, ""), result)
}

func TestEnvironmentTooLong(t *testing.T) {
	c := command("true")
	c.Environ = []string{path, "LONG=" + strings.Repeat("x", 128<<10)}
	if result := run(t, newSandbox(), c); result.ExitCode != 127 || !errors.Is(result.Err, unix.E2BIG) {
		t.Errorf("exit code %d, error %v; want 127 and E2BIG", result.ExitCode, result.Err)
	}
}

func TestCommandThatCannotBe(t *testing.T) {
	change := func(change func(*sandbox.Command)) sandbox.Command {
		c := command("true")
		change(&c)
		return c
	}
	withPolicy := func(change func(*policy.Policy)) *sandbox.Sandbox {
		s := newSandbox()
		change(&s.Policy)
		return s
	}
	for _, test := range []struct {
		name, field string
		sandbox     *sandbox.Sandbox
		command     sandbox.Command
	}{
		{"no command", "cmd", newSandbox(), command()},
		{"an empty program", "cmd", newSandbox(), command("", "x")},
		{"NUL in the program", "cmd", newSandbox(), command("tr\x00ue")},
		{"NUL in an argument", "cmd", newSandbox(), command("true", "a", "b\x00")},
		{"NUL in the environment", "environ", newSandbox(), change(func(c *sandbox.Command) { c.Environ = []string{"A=\x00"} })},
		{"NUL in a path", "fs_readable", withPolicy(func(p *policy.Policy) { p.FSReadable = []string{"/usr\x00"} }), command("true")},
		{"NUL in a variable", "env", withPolicy(func(p *policy.Policy) { p.Env = map[string]string{"A": "\x00"} }), command("true")},
		{"NUL in cwd", "cwd", withPolicy(func(p *policy.Policy) { p.Cwd = "/\x00" }), command("true")},
		{"a path that does not exist", "fs_readable", newSandbox("/none"), command("true")},
		{"too few descriptors", "max_open_files", withPolicy(func(p *policy.Policy) { p.MaxOpenFiles = new(uint64) }), command("true")},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := held(t)
			expectPolicyError(t, test.field, refused(t, test.sandbox, test.command))
			expectNothingLeft(t, before)
		})
	}
}
