package determinism

import (
	"errors"
	"io"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
)

// The task is traced while something is done, goes on unhindered afterwards, and can be traced again at once.
func TestAsTracer(t *testing.T) {
	command := exec.Command("cat")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	}()
	task := command.Process.Pid
	for range 200 {
		err := asTracer(task, func() error {
			if tracer, err := tracerOf(task); err != nil || tracer == 0 {
				t.Errorf("traced by %d: %v", tracer, err)
			}
			return unix.EIO
		})
		if !errors.Is(err, unix.EIO) {
			t.Fatal(err)
		}
		if tracer, err := tracerOf(task); err != nil || tracer != 0 {
			t.Fatalf("traced by %d: %v", tracer, err)
		}
		answer := make([]byte, 1)
		if _, err := in.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, answer); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAsTracerOfNobody(t *testing.T) {
	err := asTracer(1<<30, func() error { t.Error("done"); return nil })
	if !errors.Is(err, unix.ESRCH) {
		t.Error(err)
	}
}

func tracerOf(task int) (uint64, error) {
	status, err := proc.ReadStatus(task)
	if err != nil {
		return 0, err
	}
	return status.Number("TracerPid", 0, 10)
}
