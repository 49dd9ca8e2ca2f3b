package launch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// started is a running command with the host's end of its output.
type started struct {
	*Process
	output *os.File
}

// start starts a command, its stdout and stderr in one pipe.
func start(t *testing.T, spec Spec, argv ...string) started {
	t.Helper()
	p, err := startWith(t, spec, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func startWith(t *testing.T, spec Spec, argv ...string) (started, error) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	spec.Path, spec.Argv, spec.Env = argv[0], argv, append(spec.Env, "PATH=/usr/bin:/bin")
	spec.Files = []int{int(null.Fd()), int(w.Fd()), int(w.Fd())}
	p, err := Start(spec)
	return started{p, r}, err
}

func (s started) finish(t *testing.T) (string, Status) {
	t.Helper()
	out, err := io.ReadAll(s.output)
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return string(out), status
}

// plain is a Spec that confines nothing.
func plain() Spec { return Spec{Dir: -1, Ruleset: -1, ReaperRuleset: -1} }

// scope gives a ruleset with the signal scope alone, or skips where the kernel has none.
func scope(t *testing.T) int {
	t.Helper()
	attr := struct{ fs, net, scoped uint64 }{scoped: unix.LANDLOCK_SCOPE_SIGNAL}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), 24, 0)
	if errno != 0 {
		t.Skipf("no Landlock signal scope (ABI 6, Linux 6.12): %v", errno)
	}
	t.Cleanup(func() { unix.Close(int(fd)) })
	return int(fd)
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		name, script string
		want         Status
	}{
		{"success", "exit 0", Status{}},
		{"exit code", "exit 42", Status{Code: 42}},
		{"signal", "kill -TERM $$", Status{Signal: unix.SIGTERM}},
		{"kill", "kill -KILL $$", Status{Signal: unix.SIGKILL}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, got := start(t, plain(), "/bin/sh", "-c", test.script).finish(t)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFailingStepIsNamed(t *testing.T) {
	file, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inFile := plain()
	inFile.Dir = int(file.Fd())
	tooMany := plain()
	tooMany.Limits = []Limit{{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, unix.Rlimit{Cur: 2, Max: 1}}}
	for _, test := range []struct {
		name string
		spec Spec
		argv []string
		want *StepError
	}{
		{"no such file", plain(), []string{"/nonexistent/x"},
			&StepError{"execute /nonexistent/x", unix.ENOENT, unix.SYS_EXECVE}},
		{"not executable", plain(), []string{"/etc/passwd"}, &StepError{"execute /etc/passwd", unix.EACCES, unix.SYS_EXECVE}},
		{"argument too long", plain(), []string{"/bin/true", strings.Repeat("x", 200<<10)},
			&StepError{"execute /bin/true", unix.E2BIG, unix.SYS_EXECVE}},
		{"not a folder", inFile, []string{"/bin/true"},
			&StepError{"change to the working directory", unix.ENOTDIR, unix.SYS_FCHDIR}},
		{"bad limit", tooMany, []string{"/bin/true"}, &StepError{"limit RLIMIT_NOFILE", unix.EINVAL, unix.SYS_PRLIMIT64}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := startWith(t, test.spec, test.argv...)
			if err == nil { // only execve fails after the start
				_, status := p.finish(t)
				if status.Code != 127 {
					t.Errorf("exit code %d", status.Code)
				}
				err = status.Failure
			}
			if diff := cmp.Diff(error(test.want), err); diff != "" {
				t.Error(diff)
			}
			if !errors.Is(err, test.want.Errno) {
				t.Errorf("%v is not %v", err, test.want.Errno)
			}
		})
	}
}

func TestCommandStartsClean(t *testing.T) {
	// Descriptors without close-on-exec, an ignored signal and a blocked one must not reach the command.
	leak, err := unix.Dup(0)
	if err == nil {
		defer unix.Close(leak)
	}
	signal.Ignore(unix.SIGUSR1)
	defer signal.Reset(unix.SIGUSR1)
	out, status := start(t, plain(), "/bin/sh", "-c",
		"ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign)|NoNewPrivs' /proc/self/status").finish(t)
	if status != (Status{}) {
		t.Fatalf("%+v: %s", status, out)
	}
	// ls itself opens descriptor 3.
	want := "0 1 2 3 SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

func TestCommandLeadsItsOwnSession(t *testing.T) {
	p := start(t, plain(), "/bin/sleep", "1000")
	sid, err := unix.Getsid(p.PID)
	if err != nil || sid != p.PID {
		t.Errorf("session %d, %v; the command is %d", sid, err, p.PID)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	if _, status := p.finish(t); status != (Status{Signal: unix.SIGKILL}) {
		t.Errorf("%+v", status)
	}
}

// daemons leaves a double-forked process in a session of its own behind, which ignores signals, and prints its number.
// The substitution ends when the daemon has let go of its pipe.
const daemons = `trap '' TERM HUP INT; exec 3>&1; echo $(setsid sh -c 'echo $$; exec >&3; sleep 1000' &)`

func TestNothingOfTheTreeIsLeft(t *testing.T) {
	for _, contained := range []bool{true, false} {
		t.Run(fmt.Sprintf("contained=%v", contained), func(t *testing.T) {
			spec := plain()
			if contained {
				spec.ReaperRuleset = scope(t)
			}
			out, status := start(t, spec, "/bin/sh", "-c", daemons).finish(t)
			if status != (Status{}) {
				t.Errorf("%+v", status)
			}
			var daemon int
			if _, err := fmt.Sscan(out, &daemon); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			if err := unix.Kill(daemon, 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("the daemon %d lives on: %v", daemon, err)
			}
		})
	}
}

func TestForkBombEnds(t *testing.T) {
	spec := plain()
	spec.ReaperRuleset = scope(t)
	p := start(t, spec, "/bin/sh", "-c", `n=0; while [ $n -lt 20 ]; do n=$((n+1)); (setsid sh -c 'for i in 1 2 3 4 5; do (while :; do (:); done) & done; wait' &); done; echo up; sleep 1000`)
	buffer := make([]byte, 3)
	if _, err := io.ReadFull(p.output, buffer); err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if _, status := p.finish(t); status != (Status{Signal: unix.SIGKILL}) {
		t.Errorf("%+v", status)
	}
	t.Logf("gone after %v", time.Since(begin))
}

// TestHostKilled starts a host (this test's binary again) that starts a tree, kills it with SIGKILL, and looks for survivors.
func TestHostKilled(t *testing.T) {
	if os.Getenv("SANDLOCK_TEST_HOST") != "" {
		hostMain(t)
		return
	}
	for _, contained := range []bool{true, false} {
		t.Run(fmt.Sprintf("contained=%v", contained), func(t *testing.T) {
			if contained {
				scope(t)
			}
			host := exec.Command(os.Args[0], "-test.run=^TestHostKilled$")
			host.Env = append(os.Environ(), fmt.Sprintf("SANDLOCK_TEST_HOST=%v", contained))
			host.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := host.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Start(); err != nil {
				t.Fatal(err)
			}
			var command, daemon int
			if _, err := fmt.Fscan(out, &command, &daemon); err != nil {
				t.Fatal(err)
			}
			watched := make([]unix.PollFd, 2)
			for i, pid := range []int{command, daemon} {
				fd, err := unix.PidfdOpen(pid, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(fd)
				watched[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
			}
			// The whole group, as a terminal or a test runner does it.
			if err := unix.Kill(-host.Process.Pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			host.Wait()
			for i := range watched {
				if n, err := unix.Poll(watched[i:i+1], 5000); err != nil || n != 1 {
					t.Errorf("process %d of %v survived its host: %v", i, []int{command, daemon}, err)
				}
			}
		})
	}
}

func hostMain(t *testing.T) {
	spec := plain()
	if os.Getenv("SANDLOCK_TEST_HOST") == "true" {
		spec.ReaperRuleset = scope(t)
	}
	p := start(t, spec, "/bin/sh", "-c", daemons+"; sleep 1000")
	fmt.Println(p.PID)
	io.Copy(os.Stdout, p.output)
}

func TestManyAtOnceLeaveNothing(t *testing.T) {
	before := descriptors(t)
	t.Run("group", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for range 50 {
					p := start(t, plain(), "/bin/echo", "hello")
					if out, status := p.finish(t); out != "hello\n" || status != (Status{}) {
						t.Errorf("%q %+v", out, status)
					}
					p.output.Close()
				}
			})
		}
	})
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func BenchmarkTrue(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	spec := plain()
	spec.Path, spec.Argv = "/bin/true", []string{"true"}
	spec.Files = []int{int(null.Fd()), int(null.Fd()), int(null.Fd())}
	b.Run("launch", func(b *testing.B) {
		for b.Loop() {
			p, err := Start(spec)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := p.Wait(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("exec", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("/bin/true").Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
