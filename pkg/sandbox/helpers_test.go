package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

// limit bounds each run and each host: when it is over it is killed.
const limit = time.Minute

// hostEnv names what the test binary does when a test runs it again, as a host of its own.
const hostEnv = "SANDBOX_TEST_HOST"

// hosts write what they find to descriptor 3, or fail with an error.
var hosts = map[string]func(report *os.File) error{}

func TestMain(m *testing.M) {
	if host, ok := hosts[os.Getenv(hostEnv)]; ok {
		report := os.NewFile(3, "report")
		if err := host(report); err != nil {
			fmt.Fprintln(report, "the host failed:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// path is the PATH of every command, and what system grants.
const path = "PATH=/usr/bin:/bin"

// system is what programs need.
func system() []string {
	var found []string
	for _, path := range []string{"/usr", "/lib", "/lib64", "/bin", "/etc"} {
		if _, err := os.Stat(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// newSandbox grants what programs need, and more to be read.
func newSandbox(readable ...string) *sandbox.Sandbox {
	return &sandbox.Sandbox{Policy: policy.Policy{FSReadable: append(system(), readable...), AllowDegraded: policy.Protections()}}
}

// command captures the output of a command.
func command(args ...string) sandbox.Command {
	return sandbox.Command{Args: args, Environ: []string{path}, Stdout: sandbox.Pipe(), Stderr: sandbox.Pipe()}
}

func shell(script string) sandbox.Command { return command("sh", "-c", script) }

// run runs a command to an end that is its own.
func run(t *testing.T, s *sandbox.Sandbox, c sandbox.Command) *sandbox.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	result, err := s.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("not done after %v: %q", limit, result.Stdout)
	}
	return result
}

// start starts a command that does not outlive the test or its time.
func start(t *testing.T, s *sandbox.Sandbox, c sandbox.Command) *sandbox.Process {
	t.Helper()
	p, result, err := s.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	if p == nil {
		t.Fatalf("not started: %v", result.Err)
	}
	p.SetDeadline(time.Now().Add(limit))
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func wait(t *testing.T, p *sandbox.Process) *sandbox.Result {
	t.Helper()
	result, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// refused starts what must not start, and gives the error.
func refused(t *testing.T, s *sandbox.Sandbox, c sandbox.Command) error {
	t.Helper()
	p, result, err := s.Start(c)
	if p != nil {
		p.Close()
	}
	if err == nil || p != nil || result != nil {
		t.Fatalf("process %v, result %+v, error %v; want an error alone", p != nil, result, err)
	}
	return err
}

// exited is the result of a command that exited.
func exited(code int, stdout string) *sandbox.Result {
	return &sandbox.Result{ExitCode: code, Stdout: []byte(stdout)}
}

func expect(t *testing.T, want, got *sandbox.Result) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateErrors()); diff != "" {
		t.Errorf("result (-want +got)\n%s", diff)
	}
}

// expectPolicyError says which field an error is about.
func expectPolicyError(t *testing.T, field string, err error) {
	t.Helper()
	var fault *policy.Error
	if !errors.As(err, &fault) {
		t.Fatalf("%v (%T) is no *policy.Error", err, err)
	}
	if fault.Field != field {
		t.Errorf("the error is about %q, not %q: %v", fault.Field, field, err)
	}
}

// asHost runs the test binary again as one of the hosts, and gives its report, which ends when the host does. What is
// given comes as descriptors 4, 5, ...
func asHost(t *testing.T, name string, given ...*os.File) string {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	report, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	defer w.Close()
	host := exec.CommandContext(ctx, executable)
	host.Env = append(os.Environ(), hostEnv+"="+name, "GORACE=atexit_sleep_ms=0")
	host.Stderr = os.Stderr
	host.ExtraFiles = append([]*os.File{w}, given...)
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	text, err := io.ReadAll(report)
	if err = errors.Join(err, host.Wait()); err != nil {
		t.Errorf("the host: %v", err)
	}
	return string(text)
}

// expectGone says that a process, or its zombie, is no more.
func expectGone(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("process %d lives on: %v", pid, err)
		unix.Kill(pid, unix.SIGKILL)
	}
}

// eventually waits for what no event tells.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > limit {
			t.Fatalf("not after %v: %s", limit, what)
		}
	}
}

// holdings is what a host holds that runs may leave behind.
type holdings struct{ Descriptors, Goroutines int }

func held(t *testing.T) holdings {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return holdings{len(entries), runtime.NumGoroutine()}
}

// expectNothingLeft compares with what was held before. A goroutine that has done everything may still be counted.
func expectNothingLeft(t *testing.T, before holdings) {
	t.Helper()
	var after holdings
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(time.Millisecond) {
		if after = held(t); after.Goroutines <= before.Goroutines {
			break
		}
	}
	after.Goroutines = max(after.Goroutines, before.Goroutines)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("left behind (-before +after)\n%s", diff)
	}
}
