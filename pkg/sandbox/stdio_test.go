package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/sandbox"
)

func TestNullStdio(t *testing.T) {
	c := shell(`read line && exit 1; echo out && echo err >&2 && exit 5`)
	c.Stdin, c.Stdout, c.Stderr = sandbox.Null(), sandbox.Null(), sandbox.Null()
	expect(t, exited(5, ""), run(t, newSandbox(), c))
	c.Stdin, c.Stdout, c.Stderr = sandbox.Stdio{}, sandbox.Stdio{}, sandbox.Stdio{}
	c.Input = []byte("for nobody")
	expect(t, exited(5, ""), run(t, newSandbox(), c))
}

func TestPipeAndNullTogether(t *testing.T) {
	c := shell("cat; echo err >&2")
	c.Stdin, c.Input, c.Stderr = sandbox.Pipe(), []byte("in"), sandbox.Null()
	expect(t, exited(0, "in"), run(t, newSandbox(), c))
}

// The number of the pipe is asked for while the pipe is fed and closed.
func TestInputWhileItIsWritten(t *testing.T) {
	c := shell("cat >&2; read line; exit 3")
	c.Stdin, c.Input, c.Stderr = sandbox.Pipe(), make([]byte, 1<<20), sandbox.Null()
	p := start(t, newSandbox(), c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p.Input() >= 0 {
			runtime.Gosched()
		}
	}()
	expect(t, exited(3, ""), wait(t, p))
	<-done
}

func TestFileStdio(t *testing.T) {
	folder := t.TempDir()
	file := func(name, content string) *os.File {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(folder, name), os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			_, err = f.WriteString(content)
		}
		if err == nil {
			_, err = f.Seek(0, io.SeekStart)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	in, out := file("in", "from a file"), file("out", "")
	c := shell("cat; echo err >&2")
	c.Stdin, c.Stdout, c.Stderr = sandbox.File(int(in.Fd())), sandbox.File(int(out.Fd())), sandbox.File(int(out.Fd()))
	expect(t, exited(0, ""), run(t, newSandbox(), c))
	// The files are the caller's still, at the place where the command left them.
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("%q is left of the input: %v", rest, err)
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	written, err := io.ReadAll(out)
	if diff := cmp.Diff("from a fileerr\n", string(written)); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestFileThatIsClosed(t *testing.T) {
	const closed = 1 << 19
	for name, use := range map[string]func(*sandbox.Command){
		"stdin":  func(c *sandbox.Command) { c.Stdin = sandbox.File(closed) },
		"stdout": func(c *sandbox.Command) { c.Stdout = sandbox.File(closed) },
		"stderr": func(c *sandbox.Command) { c.Stderr = sandbox.File(closed) },
	} {
		t.Run(name, func(t *testing.T) {
			c := command("true")
			use(&c)
			before := held(t)
			err := refused(t, newSandbox(), c)
			if want := "open " + name + ": bad file descriptor"; err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
			expectNothingLeft(t, before)
		})
	}
}

func init() {
	hosts["inherit"] = func(report *os.File) error {
		if err := useForStdio(4, 5, 6); err != nil {
			return err
		}
		return runInherited(report, "cat; echo err >&2; exit 6")
	}
	hosts["closed stdio"] = func(report *os.File) error {
		if err := closeStdio(); err != nil {
			return err
		}
		return runInherited(report, "read line && exit 1; echo out && echo err >&2 && exit 6")
	}
	hosts["closed stdio, pipes"] = func(report *os.File) error {
		if err := closeStdio(); err != nil {
			return err
		}
		c := shell("cat; echo err >&2; exit 6")
		c.Stdin, c.Input = sandbox.Pipe(), bytes.Repeat([]byte("input "), 20000)
		result, err := newSandbox().Run(context.Background(), c)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(report, "%d %v %q", result.ExitCode, bytes.Equal(c.Input, result.Stdout), result.Stderr)
		return err
	}
	hosts["closed stdio, handler"] = func(report *os.File) error {
		if err := closeStdio(); err != nil {
			return err
		}
		counter := new(counter)
		s := newSandbox()
		s.Handlers = []sandbox.Registration{{Syscall: "getppid", Handler: counter}}
		result, err := s.Run(context.Background(), shell("echo out; exit 6"))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(report, "%d %q %v", result.ExitCode, result.Stdout, counter.count() > 0)
		return err
	}
}

// useForStdio makes descriptors the host's stdin, stdout and stderr.
func useForStdio(fds ...int) error {
	for target, fd := range fds {
		if err := errors.Join(unix.Dup3(fd, target, 0), unix.Close(fd)); err != nil {
			return err
		}
	}
	return nil
}

// closeStdio leaves the numbers 0, 1 and 2 to whoever opens something next; Go's runtime has what it needs by then.
func closeStdio() error {
	r, w, err := os.Pipe()
	return errors.Join(err, r.Close(), w.Close(), unix.Close(0), unix.Close(1), unix.Close(2))
}

func runInherited(report *os.File, script string) error {
	c := shell(script)
	c.Stdin, c.Stdout, c.Stderr = sandbox.Inherit(0), sandbox.Inherit(1), sandbox.Inherit(2)
	result, err := newSandbox().Run(context.Background(), c)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(report, result.ExitCode)
	return err
}

// Only a stream of the host's own may be closed; a file that the caller names must be there.
func TestFileThatIsNotOpen(t *testing.T) {
	c := command("true")
	for _, fd := range []int{-7, 1 << 20} {
		c.Stdin = sandbox.Inherit(fd)
		if err := refused(t, newSandbox(), c); !errors.Is(err, unix.EBADF) || !strings.Contains(err.Error(), "stdin") {
			t.Errorf("descriptor %d: %v", fd, err)
		}
	}
}

func TestInheritedStdio(t *testing.T) {
	var ends [3][2]*os.File
	for i := range ends {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		ends[i] = [2]*os.File{r, w}
	}
	if _, err := ends[0][1].WriteString("from the host"); err != nil {
		t.Fatal(err)
	}
	ends[0][1].Close()
	report := asHost(t, "inherit", ends[0][0], ends[1][1], ends[2][1])
	ends[1][1].Close()
	ends[2][1].Close()
	stdout, _ := io.ReadAll(ends[1][0])
	stderr, _ := io.ReadAll(ends[2][0])
	if diff := cmp.Diff([]string{"6", "from the host", "err\n"}, []string{report, string(stdout), string(stderr)}); diff != "" {
		t.Errorf("exit code, stdout, stderr (-want +got)\n%s", diff)
	}
}

func TestHostWithClosedStdio(t *testing.T) {
	for name, want := range map[string]string{
		"closed stdio":          "6",
		"closed stdio, pipes":   `6 true "err\n"`,
		"closed stdio, handler": `6 "out\n" true`,
	} {
		t.Run(name, func(t *testing.T) {
			if got := asHost(t, name); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
