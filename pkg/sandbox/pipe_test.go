package sandbox_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"sandlock/pkg/sandbox"
)

// random is more than a pipe holds.
func random(size int) []byte {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

func expectBytes(t *testing.T, what string, want, got []byte) {
	t.Helper()
	if !bytes.Equal(want, got) {
		t.Errorf("%s: %d bytes, which are not the %d that were meant", what, len(got), len(want))
	}
}

func TestInputComesBack(t *testing.T) {
	for name, size := range map[string]int{"nothing": 0, "a byte": 1, "a pipe full": 64 << 10, "16 times a pipe": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			c := command("cat")
			c.Stdin, c.Input = sandbox.Pipe(), random(size)
			result := run(t, newSandbox(), c)
			expectBytes(t, "stdout", c.Input, result.Stdout)
			result.Stdout = nil
			expect(t, exited(0, ""), result)
		})
	}
}

func TestInputOfTwoDirectionsAtOnce(t *testing.T) {
	c := shell("tee /dev/fd/2")
	c.Stdin, c.Input = sandbox.Pipe(), random(1<<20)
	s := newSandbox("/dev", "/proc")
	s.Policy.FSWritable = []string{"/dev", "/proc"}
	result := run(t, s, c)
	expectBytes(t, "stdout", c.Input, result.Stdout)
	expectBytes(t, "stderr", c.Input, result.Stderr)
}

func TestLargeOutput(t *testing.T) {
	const size = 16 << 20
	c := shell("head -c 16777216 /dev/zero; head -c 16777216 /dev/zero >&2")
	result := run(t, newSandbox("/dev/zero"), c)
	zeros := make([]byte, size)
	expectBytes(t, "stdout", zeros, result.Stdout)
	expectBytes(t, "stderr", zeros, result.Stderr)
}

func TestOutputAfterTheOtherIsClosed(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   *sandbox.Result
	}{
		"stdout": {"echo first; exec >&-; echo later >&2; exit 3",
			&sandbox.Result{ExitCode: 3, Stdout: []byte("first\n"), Stderr: []byte("later\n")}},
		"stderr": {"exec 2>&-; echo later; exit 3", exited(3, "later\n")},
		"both":   {"exec >&- 2>&-; exit 3", exited(3, "")},
	} {
		t.Run(name, func(t *testing.T) { expect(t, test.want, run(t, newSandbox(), shell(test.script))) })
	}
}

// A pipe that has come to its end is closed at once: watched further, it would always be ready.
func TestPipeIsClosedAtItsEnd(t *testing.T) {
	c := shell("exec >&- 2>&-; read line; exit 3")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c.Stdin = sandbox.File(int(r.Fd()))
	p := start(t, newSandbox(), c)
	open := held(t).Descriptors
	done := make(chan error)
	go func() {
		_, err := p.Wait()
		done <- err
	}()
	eventually(t, "both pipes closed", func() bool { return held(t).Descriptors == open-2 })
	w.Close() // what the command waits for
	if err := <-done; err != nil {
		t.Error(err)
	}
	expect(t, exited(3, ""), wait(t, p))
}

func TestInputThatNobodyWants(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   *sandbox.Result
	}{
		"the command is gone at once": {"exit 3", exited(3, "")},
		"it closes stdin and goes on": {"exec <&-; echo on; exit 3", exited(3, "on\n")},
		"it reads a little":           {"head -c 100000 | wc -c; exec <&-; exit 3", exited(3, "100000\n")},
	} {
		t.Run(name, func(t *testing.T) {
			c := shell(test.script)
			c.Stdin, c.Input = sandbox.Pipe(), random(1<<20)
			expect(t, test.want, run(t, newSandbox(), c))
		})
	}
}
