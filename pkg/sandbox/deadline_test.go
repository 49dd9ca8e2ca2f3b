package sandbox_test

import (
	"bufio"
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/sandbox"
)

// ended is the result of a command that sandlock killed.
func ended(reason sandbox.Reason) *sandbox.Result {
	return &sandbox.Result{Reason: reason, ExitCode: -1, Signal: unix.SIGKILL}
}

// sleeper says that it is up, and sleeps.
const sleeper = "echo up; exec sleep 1000"

// announced gives the command a stdout that the test reads itself. The function waits for a line of it.
func announced(t *testing.T, c *sandbox.Command) (line func() string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	if err := r.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	c.Stdout = sandbox.File(int(w.Fd()))
	lines := bufio.NewReader(r)
	return func() string {
		t.Helper()
		text, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return text[:len(text)-1]
	}
}

func TestContextDeadline(t *testing.T) {
	for range 5 { // which of the host's two clocks goes off first must not matter
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		result, err := newSandbox().Run(ctx, command("sleep", "1000"))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, ended(sandbox.TimedOut), result)
	}
}

func TestContextThatIsOverAlready(t *testing.T) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Hour))
	defer cancel()
	result, err := newSandbox().Run(ctx, command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, ended(sandbox.TimedOut), result)
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := shell(sleeper)
	line := announced(t, &c)
	result := make(chan *sandbox.Result)
	go func() {
		got, err := newSandbox().Run(ctx, c)
		if err != nil {
			t.Error(err)
		}
		result <- got
	}()
	line()
	cancel()
	expect(t, ended(sandbox.Killed), <-result)
}

func TestCancelBeforeRun(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	result, err := newSandbox().Run(ctx, command("sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, ended(sandbox.Killed), result)
}

func TestCancelAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	result, err := newSandbox().Run(ctx, command("echo", "done"))
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, exited(0, "done\n"), result)
}

func TestDeadlineKeepsTheOutput(t *testing.T) {
	p := start(t, newSandbox(), shell(sleeper))
	p.SetDeadline(time.Now().Add(time.Second))
	want := ended(sandbox.TimedOut)
	want.Stdout = []byte("up\n")
	expect(t, want, wait(t, p))
}

func TestDeadlineInThePast(t *testing.T) {
	p := start(t, newSandbox(), command("sleep", "1000"))
	p.SetDeadline(time.Unix(1, 0))
	expect(t, ended(sandbox.TimedOut), wait(t, p))
}

func TestDeadlineThatIsNotReached(t *testing.T) {
	p := start(t, newSandbox(), command("echo", "in time"))
	p.SetDeadline(time.Now().Add(1000 * time.Hour))
	expect(t, exited(0, "in time\n"), wait(t, p))
}

func TestDeadlineOfACommandThatIgnoresSignals(t *testing.T) {
	p := start(t, newSandbox(), shell("trap '' TERM INT HUP QUIT; while :; do sleep 1000; done"))
	p.SetDeadline(time.Now().Add(50 * time.Millisecond))
	expect(t, ended(sandbox.TimedOut), wait(t, p))
}

func TestDeadlineWhileAHandlerHoldsTheCommand(t *testing.T) {
	s := newSandbox()
	release := make(chan struct{})
	s.Handlers = []sandbox.Registration{{Syscall: "getppid", Handler: blocking(release)}}
	p := start(t, s, shell("echo not reached"))
	p.SetDeadline(time.Now().Add(50 * time.Millisecond))
	// The handler comes back when the command is gone.
	gone, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(gone)
	go func() {
		poll(gone)
		close(release)
	}()
	expect(t, ended(sandbox.TimedOut), wait(t, p))
}

// poll waits until a descriptor is readable.
func poll(fd int) {
	for {
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != unix.EINTR {
			return
		}
	}
}
