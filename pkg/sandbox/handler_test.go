package sandbox_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/sandbox"
	"sandlock/pkg/seccomp"
	"sandlock/pkg/supervise"
)

// A counter counts and lets go on.
type counter struct{ calls atomic.Int64 }

func (c *counter) Handle(*notify.Notification) supervise.Action {
	c.calls.Add(1)
	return supervise.Continue()
}

func (c *counter) count() int64 { return c.calls.Load() }

// answering always gives the same answer.
func answering(a supervise.Action) supervise.Handler {
	return supervise.HandlerFunc(func(*notify.Notification) supervise.Action { return a })
}

// blocking lets go on when the channel is closed.
func blocking(release <-chan struct{}) supervise.Handler {
	return supervise.HandlerFunc(func(*notify.Notification) supervise.Action {
		<-release
		return supervise.Continue()
	})
}

// parent prints what getppid answers: a shell asks when it starts.
func parent() sandbox.Command { return shell("echo $PPID") }

func handled(syscall string, handlers ...supervise.Handler) *sandbox.Sandbox {
	s := newSandbox()
	for _, h := range handlers {
		s.Handlers = append(s.Handlers, sandbox.Registration{Syscall: syscall, Handler: h})
	}
	return s
}

func TestHandlerAnswers(t *testing.T) {
	expect(t, exited(0, "4242\n"), run(t, handled("getppid", answering(supervise.Return(4242))), parent()))
	expect(t, exited(0, "4242\n"), run(t, handled(fmt.Sprint(unix.SYS_GETPPID), answering(supervise.Return(4242))), parent()))
	result := run(t, handled("uname", answering(supervise.Fail(unix.EXDEV))), command("uname"))
	if result.ExitCode != 1 || !strings.Contains(string(result.Stderr), "Invalid cross-device link") {
		t.Errorf("%d %q", result.ExitCode, result.Stderr)
	}
}

func TestHandlersAnswerInTheirOrder(t *testing.T) {
	first, last := new(counter), new(counter)
	s := handled("getppid", first, answering(supervise.Return(1)), answering(supervise.Return(2)), last)
	expect(t, exited(0, "1\n"), run(t, s, parent()))
	if first.count() == 0 || last.count() != 0 {
		t.Errorf("the first handler was asked %d times, the one after the answer %d times", first.count(), last.count())
	}
}

func TestHandlerKills(t *testing.T) {
	expect(t, ended(sandbox.Killed), run(t, handled("getppid", answering(supervise.Kill(unix.SIGKILL, 0))), parent()))
}

func TestHandlerPanics(t *testing.T) {
	panicking := supervise.HandlerFunc(func(*notify.Notification) supervise.Action { panic("a mistake") })
	result, err := handled("getppid", panicking).Run(t.Context(), parent())
	expect(t, ended(sandbox.Killed), result)
	if err == nil || !strings.Contains(err.Error(), "panicked: a mistake") {
		t.Errorf("the panic is not reported: %v", err)
	}
}

// The constant action answers for a handler that ends its goroutine, and the run goes on.
func TestHandlerEndsItsGoroutine(t *testing.T) {
	asked := new(counter)
	ending := supervise.HandlerFunc(func(n *notify.Notification) supervise.Action {
		asked.Handle(n)
		runtime.Goexit()
		return supervise.Continue()
	})
	s := handled("getppid", ending)
	s.Handlers = append(s.Handlers, sandbox.Registration{Syscall: "getppid", Fallback: supervise.Return(4242)})
	p := start(t, s, shell("echo $PPID; sh -c 'echo $PPID'"))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Supervisor().Next(p.Supervisor().NewWorker())
	}()
	result, err := p.Wait()
	<-ended
	expect(t, exited(0, "4242\n4242\n"), result)
	if asked.count() < 2 || err == nil || !strings.Contains(err.Error(), "ended its goroutine") {
		t.Errorf("asked %d times; not reported: %v", asked.count(), err)
	}
}

func TestRunPullsNothing(t *testing.T) {
	s := handled("getppid", answering(supervise.Return(1)))
	s.Handlers = append(s.Handlers, sandbox.Registration{Syscall: "getppid"})
	result, err := s.Run(t.Context(), parent())
	if result != nil {
		t.Errorf("%+v", result)
	}
	expectPolicyError(t, "handlers", err)
}

func TestHandlerTerminates(t *testing.T) {
	want := ended(sandbox.Signaled)
	want.Signal = unix.SIGTERM
	expect(t, want, run(t, handled("getppid", answering(supervise.Kill(unix.SIGTERM, 0))), parent()))
}

// A registration without a handler is answered by who pulls.
func TestPulledAnswer(t *testing.T) {
	s := newSandbox()
	s.Handlers = []sandbox.Registration{{Syscall: "getppid"}}
	p := start(t, s, parent())
	pulled := make(chan int)
	go func() {
		worker, count := p.Supervisor().NewWorker(), 0
		for n := p.Supervisor().Next(worker); n != nil; n = p.Supervisor().Next(worker) {
			count++
			worker.Answer(supervise.Return(77))
		}
		pulled <- count
	}()
	expect(t, exited(0, "77\n"), wait(t, p))
	if count := <-pulled; count == 0 {
		t.Error("nothing was pulled")
	}
}

func TestRegistrationThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		syscall string
		deny    string
		check   func(*testing.T, error)
	}{
		"unknown name": {"opennat", "", func(t *testing.T, err error) {
			var unknown *seccomp.UnknownSyscallError
			if !errors.As(err, &unknown) || unknown.Name != "opennat" || unknown.Nearest != "openat" {
				t.Errorf("%v (%+v), want openat as the nearest name", err, unknown)
			}
		}},
		"empty name":      {"", "", expectUnknown},
		"no name at all":  {"no such call", "", expectUnknown},
		"negative number": {"-1", "", func(t *testing.T, err error) { expectPolicyError(t, "handlers", err) }},
		"denied": {"mount", "", func(t *testing.T, err error) {
			var denied *seccomp.DeniedError
			if !errors.As(err, &denied) || denied.Name != "mount" {
				t.Errorf("%v, want a *DeniedError about mount", err)
			}
		}},
		"denied by the policy": {"openat", "openat", func(t *testing.T, err error) {
			var denied *seccomp.DeniedError
			if !errors.As(err, &denied) || denied.Number != unix.SYS_OPENAT {
				t.Errorf("%v, want a *DeniedError about openat", err)
			}
		}},
		"a number without a call": {"100000", "", func(t *testing.T, err error) {
			var denied *seccomp.DeniedError
			if !errors.As(err, &denied) || denied.Number != 100000 {
				t.Errorf("%v, want a *DeniedError about 100000", err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := handled(test.syscall, new(counter))
			if test.deny != "" {
				s.Policy.ExtraDenySyscalls = []string{test.deny}
			}
			before := held(t)
			test.check(t, refused(t, s, command("true")))
			expectNothingLeft(t, before)
		})
	}
}

func expectUnknown(t *testing.T, err error) {
	t.Helper()
	var unknown *seccomp.UnknownSyscallError
	if !errors.As(err, &unknown) {
		t.Errorf("%v, want an *UnknownSyscallError", err)
	}
}

// The launcher makes these calls when the filter is in force already: they must neither reach a handler, for whom the
// launch would wait, nor be denied.
func TestLauncherGetsPastTheFilter(t *testing.T) {
	for _, syscall := range []string{"close_range", "dup3", "futex"} {
		t.Run("handler on "+syscall, func(t *testing.T) {
			calls := new(counter)
			expect(t, exited(0, "through\n"), run(t, handled(syscall, calls), command("echo", "through")))
			if n := calls.count(); n != 0 {
				t.Errorf("the handler saw %d calls, though echo makes none", n)
			}
		})
		t.Run(syscall+" denied", func(t *testing.T) {
			s := newSandbox()
			s.Policy.ExtraDenySyscalls = []string{syscall}
			expect(t, exited(0, "through\n"), run(t, s, command("echo", "through")))
		})
	}
}

func TestHandlerSeesTheFirstExecve(t *testing.T) {
	var paths []string
	s := handled("execve", supervise.HandlerFunc(func(n *notify.Notification) supervise.Action {
		buffer := make([]byte, 4096)
		length, err := n.ReadString(buffer, n.Args()[0], len(buffer)-1)
		paths = append(paths, fmt.Sprint(string(buffer[:length]), err))
		return supervise.Continue()
	}))
	file, want := "/bin/sh", []string{"/bin/sh<nil>", "/bin/true<nil>"}
	expect(t, exited(0, ""), run(t, s, command(file, "-c", "exec /bin/true")))
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHandlerRefusesTheFirstExecve(t *testing.T) {
	result := run(t, handled("execve", answering(supervise.Fail(unix.EPERM))), command("/bin/true"))
	if result.ExitCode != 127 || !errors.Is(result.Err, unix.EPERM) {
		t.Errorf("exit code %d, error %v; want 127 and EPERM", result.ExitCode, result.Err)
	}
}

// The launcher's own execve has nobody who could use a result.
func TestHandlerAnswersTheFirstExecve(t *testing.T) {
	for _, value := range []int64{0, 1, -5000} {
		result := run(t, handled("execve", answering(supervise.Return(value))), command("/bin/true"))
		if result.ExitCode != 127 || result.Err == nil {
			t.Errorf("answer %d: exit code %d, error %v; want 127 and an error", value, result.ExitCode, result.Err)
		}
	}
}

func TestHandlerKillsTheFirstExecve(t *testing.T) {
	expect(t, ended(sandbox.Killed), run(t, handled("execve", answering(supervise.Kill(unix.SIGKILL, 0))), command("true")))
}

// Eight at once, each with its own handler, none of which sees anything of another's command.
func TestSandboxesAtOnce(t *testing.T) {
	const files = 25
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			args := []string{"cat"}
			for j := range files {
				name := filepath.Join(folder, fmt.Sprint(j))
				if err := os.WriteFile(name, fmt.Append(nil, i), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, name)
			}
			own, foreign := 0, 0
			s := newSandbox(folder)
			s.Handlers = []sandbox.Registration{{Syscall: "openat", Handler: supervise.HandlerFunc(
				func(n *notify.Notification) supervise.Action {
					buffer := make([]byte, 4096)
					length, err := n.ReadString(buffer, n.Args()[1], len(buffer)-1)
					if err != nil {
						t.Error(err)
					}
					switch dir := filepath.Dir(string(buffer[:length])); {
					case dir == folder:
						own++
					case filepath.Base(filepath.Dir(dir)) == "TestSandboxesAtOnce":
						foreign++
					}
					return supervise.Continue()
				})}}
			for range 3 {
				own, foreign = 0, 0
				expect(t, exited(0, strings.Repeat(fmt.Sprint(i), files)), run(t, s, command(args...)))
				if own != files || foreign != 0 {
					t.Errorf("the handler saw %d opens of its own command and %d of others, not %d and none", own, foreign, files)
				}
			}
		})
	}
}

// hookThen lets go on after a function.
func hookThen(f func()) supervise.Handler {
	return supervise.HandlerFunc(func(*notify.Notification) supervise.Action {
		f()
		return supervise.Continue()
	})
}
