package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// What may be done where; each attempt is a command of its own, named by the file that it leaves alone.
func TestFiles(t *testing.T) {
	root := t.TempDir()
	for _, file := range []string{"outside/f", "readable/f", "writable/f", "readable/secret", "carved/f", "carved/denied/f"} {
		write(t, filepath.Join(root, file), "content\n", 0o644)
	}
	s := newSandbox(root + "/readable")
	s.Policy.FSWritable = []string{root + "/writable", root + "/carved"}
	s.Policy.FSDenied = []string{root + "/carved/denied", root + "/readable/secret"}
	const (
		ok     = ""
		denied = "Permission denied"
	)
	want, got := map[string]string{}, map[string]string{}
	for attempt, outcome := range map[string]string{
		"cat readable/f":                ok,
		"cat readable/secret":           denied,
		"cat writable/f":                ok,
		"cat carved/f":                  ok,
		"cat carved/denied/f":           denied,
		"cat outside/f":                 denied,
		"ls readable":                   ok,
		"ls carved/denied":              denied,
		"ls outside":                    denied,
		"cp readable/f readable/new":    denied,
		"cp readable/f writable/new":    ok,
		"cp readable/f carved/f":        ok,
		"cp readable/f carved/denied/n": denied,
		"cp readable/f outside/new":     denied,
		"truncate -s 3 readable/f":      denied,
		"truncate -s 3 carved/denied/f": denied,
		"truncate -s 3 outside/f":       denied,
		"mkdir readable/folder":         denied,
		"mkdir writable/folder":         ok,
		"rm -f readable/f":              denied,
		"rm -f carved/denied/f":         denied,
		"mv carved/denied carved/free":  denied,
	} {
		want[attempt] = outcome
		args := strings.Fields(attempt)
		for i, arg := range args {
			if i > 0 && arg[0] >= 'a' {
				args[i] = filepath.Join(root, arg)
			}
		}
		result := run(t, s, command(args...))
		switch stderr := string(result.Stderr); {
		case result.ExitCode == 0:
			got[attempt] = ok
		case strings.Contains(stderr, denied):
			got[attempt] = denied
		default:
			got[attempt] = stderr
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, file := range []string{"outside/f", "readable/f", "carved/denied/f"} {
		if content, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(content) != "content\n" {
			t.Errorf("%s is changed: %q, %v", file, content, err)
		}
	}
}

func TestPathsAreBytes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "\xff\xfe and \n")
	file := write(t, filepath.Join(folder, "\x80"), "found\n", 0o644)
	expect(t, exited(0, "found\n"), run(t, newSandbox(folder), command("cat", file)))
}

func TestRelativePathsStartAtTheHostsDirectory(t *testing.T) {
	root := t.TempDir()
	file := write(t, filepath.Join(root, "granted", "f"), "found\n", 0o644)
	t.Chdir(root)
	s := newSandbox("granted")
	s.Policy.Cwd = "/"
	expect(t, exited(0, "found\n"), run(t, s, command("cat", file)))
}

func TestTenThousandReadablePaths(t *testing.T) {
	folder := t.TempDir()
	paths := make([]string, 10_000)
	for i := range paths {
		paths[i] = filepath.Join(folder, fmt.Sprint(i))
		if err := os.WriteFile(paths[i], nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	last := paths[len(paths)-1]
	if err := os.WriteFile(last, []byte("the last\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, exited(0, "the last\n"), run(t, newSandbox(paths...), command("cat", last)))
}

func init() {
	hosts["ten thousand descriptors"] = func(report *os.File) error {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		if limit.Max < 11_000 {
			_, err := fmt.Fprintln(report, "this user may open no more than", limit.Max)
			return err
		}
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		for range 10_000 { // without close-on-exec
			if _, err := unix.Dup(2); err != nil {
				return err
			}
		}
		s := newSandbox("/proc", "/dev")
		s.Policy.FSWritable = []string{"/dev"}
		result, err := s.Run(context.Background(), shell("ls /proc/self/fd; echo $? >&2"))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(report, "%q %q", result.Stdout, result.Stderr)
		return err
	}
}

// The 3 is the directory that ls lists.
func TestHostWithTenThousandDescriptors(t *testing.T) {
	got := asHost(t, "ten thousand descriptors")
	if strings.HasPrefix(got, "this user") {
		t.Skip(got)
	}
	if want := `"0\n1\n2\n3\n" "0\n"`; got != want {
		t.Errorf("the command has %s, want %s", got, want)
	}
}
