package sandbox_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
	"sandlock/pkg/sandbox"
)

func TestKillFromAnotherGoroutine(t *testing.T) {
	c := shell(sleeper)
	line := announced(t, &c)
	p := start(t, newSandbox(), c)
	go func() {
		line()
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	}()
	expect(t, ended(sandbox.Killed), wait(t, p))
}

func TestKillFromAHandler(t *testing.T) {
	var p *sandbox.Process
	started := make(chan struct{})
	s := handled("getppid", hookThen(func() {
		<-started
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	}))
	p = start(t, s, parent())
	close(started)
	expect(t, ended(sandbox.Killed), wait(t, p))
}

func TestSignal(t *testing.T) {
	c := shell("trap 'echo caught; exit 9' USR1; echo up; while :; do sleep 0.01; done")
	line := announced(t, &c)
	p := start(t, newSandbox(), c)
	line()
	if err := p.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if got := line(); got != "caught" {
		t.Errorf("the command says %q", got)
	}
	expect(t, exited(9, ""), wait(t, p))
}

func TestSignalAfterTheEnd(t *testing.T) {
	p := start(t, newSandbox(), command("true"))
	expect(t, exited(0, ""), wait(t, p))
	for name, late := range map[string]func() error{
		"Kill": p.Kill, "Signal": func() error { return p.Signal(unix.SIGTERM) }, "Close": p.Close, "Close again": p.Close,
	} {
		if err := late(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	expect(t, exited(0, ""), wait(t, p))
}

func TestDaemonsEndWithTheCommand(t *testing.T) {
	for name, rest := range map[string]string{
		"it exits":         "sleep 0; exit 4",
		"it is terminated": "trap - TERM; kill -TERM $$",
	} {
		t.Run(name, func(t *testing.T) {
			// A daemon in a session of its own, which ignores signals and holds on to stdout. The substitution ends when
			// the daemon has let go of its pipe.
			script := `exec 3>&1; number=$(setsid sh -c 'echo $$; exec >&3 2>&3; trap "" TERM HUP INT; exec sleep 1000' &); ` +
				`echo $number; ` + rest
			result := run(t, newSandbox("/dev/null"), shell(script)) // a shell gives it to what it starts with &
			number, err := strconv.Atoi(strings.TrimSpace(string(result.Stdout)))
			if err != nil {
				t.Fatalf("%q: %v", result.Stdout, err)
			}
			expectGone(t, number)
			result.Stdout = nil
			if name == "it exits" {
				expect(t, exited(4, ""), result)
			} else {
				expect(t, &sandbox.Result{Reason: sandbox.Signaled, ExitCode: -1, Signal: unix.SIGTERM}, result)
			}
		})
	}
}

func TestCloseWithoutWaitLeavesNothing(t *testing.T) {
	before := held(t)
	for name, handlers := range map[string][]sandbox.Registration{
		"no handler":      nil,
		"a handler":       {{Syscall: "getppid", Handler: new(counter)}},
		"a pulled call":   {{Syscall: "getppid"}}, // which nobody answers
		"a pulled execve": {{Syscall: "execve"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox()
			s.Handlers = handlers
			c := command("sleep", "1000")
			c.Stdin, c.Input = sandbox.Pipe(), random(1<<20)
			p, _, err := s.Start(c)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			expectGone(t, p.PID)
		})
	}
	expectNothingLeft(t, before)
}

func TestCloseEndsTheTree(t *testing.T) {
	c := shell(`sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & exec sleep 1000`)
	line := announced(t, &c)
	p := start(t, newSandbox("/dev/null"), c)
	var tree []int
	for range 2 {
		number, err := strconv.Atoi(line())
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, number)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range append(tree, p.PID) {
		expectGone(t, pid)
	}
}

func TestRunsLeaveNothing(t *testing.T) {
	before := held(t)
	s := handled("getppid", new(counter))
	s.Policy.Cwd = "/"
	s.Handlers = append(s.Handlers, sandbox.Registration{Syscall: "uname", Handler: new(counter)})
	c := shell("cat >&2")
	c.Stdin, c.Input = sandbox.Pipe(), []byte("input")
	for range 100 {
		expect(t, &sandbox.Result{Stderr: []byte("input")}, run(t, s, c))
	}
	expectNothingLeft(t, before)
}

// The command is the leader of a session and of a process group, neither of which is the host's.
func TestCommandLeadsItsSession(t *testing.T) {
	c := command("sleep", "1000")
	p := start(t, newSandbox(), c)
	session, err := unix.Getsid(p.PID)
	group, err2 := unix.Getpgid(p.PID)
	if session != p.PID || group != p.PID || err != nil || err2 != nil {
		t.Errorf("session %d (%v), group %d (%v); the command is %d", session, err, group, err2, p.PID)
	}
}

func TestWakeInterruptsServe(t *testing.T) {
	c := shell(sleeper)
	line := announced(t, &c)
	p := start(t, newSandbox(), c)
	line()
	if err := p.Wake(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if p.Serve(0) {
			t.Error("Serve says that the command is gone")
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Wake(); err != nil {
		t.Errorf("Wake after the end: %v", err)
	}
}

// An order waits for the reaper, which may have much to do. Nobody who kills waits for the order.
func TestKillWhileTheReaperIsBusy(t *testing.T) {
	c := shell(sleeper)
	line := announced(t, &c)
	p := start(t, newSandbox(), c)
	line()
	reaper, err := strconv.Atoi(statusOf(t, p.PID, "PPid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(reaper, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := sync.OnceFunc(func() { unix.Kill(reaper, unix.SIGCONT) })
	defer goOn()
	ordered := make(chan error, 1)
	go func() { ordered <- p.SignalGroup(unix.SIGCONT) }()
	for statusOf(t, reaper, "ShdPnd") == "0000000000000000" {
		time.Sleep(time.Millisecond)
	}
	killed := make(chan error, 1)
	go func() { killed <- p.Kill() }()
	select {
	case err := <-killed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(limit / 2):
		t.Error("the kill waits for the reaper")
	}
	goOn()
	expect(t, ended(sandbox.Killed), wait(t, p))
	if err := <-ordered; err != nil {
		t.Error(err)
	}
}

// statusOf is the first value of a line of proc_pid_status(5).
func statusOf(t *testing.T, pid int, name string) string {
	t.Helper()
	status, err := proc.ReadStatus(pid)
	if err != nil {
		t.Fatal(err)
	}
	values := status.Values(name)
	if len(values) == 0 {
		t.Fatalf("no %s of process %d", name, pid)
	}
	return values[0]
}
