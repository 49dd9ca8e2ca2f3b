package sandbox_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

func TestStreams(t *testing.T) {
	c := shell("cat; echo problem >&2")
	c.Stdin, c.Stdout, c.Stderr = sandbox.Stream(), sandbox.Stream(), sandbox.Stream()
	p := start(t, newSandbox(), c)
	var streams [3]*os.File
	for i := range streams {
		streams[i] = os.NewFile(uintptr(p.TakeStream(i)), "stream")
		defer streams[i].Close()
		if again := p.TakeStream(i); again != -1 {
			t.Errorf("stream %d was taken twice", i)
		}
	}
	if _, err := io.WriteString(streams[0], "hello"); err != nil {
		t.Fatal(err)
	}
	streams[0].Close()
	for i, want := range map[int]string{1: "hello", 2: "problem\n"} {
		if got, err := io.ReadAll(streams[i]); err != nil || string(got) != want {
			t.Errorf("stream %d: %q, %v; want %q", i, got, err, want)
		}
	}
	expect(t, exited(0, ""), wait(t, p))
}

func TestStreamsThatNobodyTakes(t *testing.T) {
	before := held(t)
	c := command("true")
	c.Stdin, c.Stdout, c.Stderr = sandbox.Stream(), sandbox.Stream(), sandbox.Stream()
	wait(t, start(t, newSandbox(), c))
	expectNothingLeft(t, before)
}

func TestSameAsStdout(t *testing.T) {
	c := shell("echo out; echo err >&2")
	c.Stderr = sandbox.SameAsStdout()
	expect(t, exited(0, "out\nerr\n"), run(t, newSandbox(), c))
}

func TestSameAsStdoutIsForStderr(t *testing.T) {
	before := held(t)
	for want, change := range map[string]func(*sandbox.Command){
		`stdin: "SameAsStdout" is for stderr alone; give a file, a pipe or null`:  func(c *sandbox.Command) { c.Stdin = sandbox.SameAsStdout() },
		`stdout: "SameAsStdout" is for stderr alone; give a file, a pipe or null`: func(c *sandbox.Command) { c.Stdout = sandbox.SameAsStdout() },
	} {
		c := command("true")
		change(&c)
		_, _, err := newSandbox().Start(c)
		var bad *policy.Error
		if !errors.As(err, &bad) || err.Error() != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	expectNothingLeft(t, before)
}

func TestExtraFiles(t *testing.T) {
	c := shell("cat <&3; cat <&4; ls /proc/self/fd")
	for _, text := range []string{"three", "four"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := w.WriteString(text + "\n"); err != nil {
			t.Fatal(err)
		}
		w.Close()
		c.ExtraFiles = append(c.ExtraFiles, int(r.Fd()))
	}
	// ls has 5 open for the folder itself.
	expect(t, exited(0, "three\nfour\n0\n1\n2\n3\n4\n5\n"), run(t, newSandbox("/proc"), c))
}

func TestMoreExtraFilesThanMayBeOpen(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c, s, most := command("true"), newSandbox(), uint64(4)
	c.ExtraFiles, s.Policy.MaxOpenFiles = []int{int(r.Fd()), int(w.Fd())}, &most
	before := held(t)
	const want = "max_open_files: 4 leaves no room for the command's streams and extra files; there are 5; most programs need some 10 more"
	if _, _, err := s.Start(c); err == nil || err.Error() != want {
		t.Errorf("%v, want %v", err, want)
	}
	expectNothingLeft(t, before)
}

func TestTerminal(t *testing.T) {
	terminal, slave := openTerminal(t)
	c := shell("stty size && kill -INT 0 && sleep 1000")
	c.Stdin, c.Stdout, c.Stderr, c.Terminal = sandbox.File(slave), sandbox.Pipe(), sandbox.Pipe(), true
	if err := unix.IoctlSetWinsize(terminal, unix.TIOCSWINSZ, &unix.Winsize{Row: 12, Col: 34}); err != nil {
		t.Fatal(err)
	}
	expect(t, &sandbox.Result{Reason: sandbox.Signaled, ExitCode: -1, Signal: unix.SIGINT, Stdout: []byte("12 34\n")},
		run(t, newSandbox(), c))

	c = shell("echo up; exec sleep 1000")
	c.Stdin, c.Stdout, c.Terminal = sandbox.File(slave), sandbox.Stream(), true
	p := start(t, newSandbox(), c)
	out := os.NewFile(uintptr(p.TakeStream(1)), "stdout")
	defer out.Close()
	if _, err := io.ReadFull(out, make([]byte, len("up\n"))); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(terminal, []byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	expect(t, &sandbox.Result{Reason: sandbox.Signaled, ExitCode: -1, Signal: unix.SIGINT}, wait(t, p))
}

func openTerminal(t *testing.T) (terminal, slave int) {
	t.Helper()
	terminal, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(terminal) })
	if err := unix.IoctlSetPointerInt(terminal, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(terminal, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(slave) })
	return terminal, slave
}

func TestPause(t *testing.T) {
	c := shell("echo up; read line; exit 3")
	c.Stdin, c.Stdout = sandbox.Stream(), sandbox.Stream()
	p := start(t, newSandbox(), c)
	in, out := os.NewFile(uintptr(p.TakeStream(0)), "stdin"), os.NewFile(uintptr(p.TakeStream(1)), "stdout")
	defer in.Close()
	defer out.Close()
	if _, err := io.ReadFull(out, make([]byte, len("up\n"))); err != nil {
		t.Fatal(err)
	}
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "stopped", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
		return err == nil && strings.Contains(string(stat), ") T ")
	})
	if _, err := in.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(); err != nil {
		t.Fatal(err)
	}
	expect(t, exited(3, ""), wait(t, p))
	for _, signal := range []func() error{p.Pause, p.Resume, p.Kill} {
		if err := signal(); err != nil {
			t.Errorf("after the end: %v", err)
		}
	}
}
