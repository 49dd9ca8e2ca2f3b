package deputy_test

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/sandbox"
)

func mkfifo(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// waits returns when one of the child's calls has begun to wait.
func (c *child) waits(t *testing.T) {
	t.Helper()
	select {
	case <-c.waiting:
	case <-time.After(limit):
		t.Fatalf("nothing waits after %v", limit)
	}
}

// holdings is what a host holds that a run may leave behind.
type holdings struct{ Descriptors, Goroutines int }

func held(t *testing.T) holdings {
	t.Helper()
	warmUp.Do(func() { start(t, grants{cwd: t.TempDir()}, []string{"openat"}, perform).finish(t) })
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return holdings{len(entries), runtime.NumGoroutine()}
}

// The first run makes what the process keeps for all.
var warmUp sync.Once

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
		stacks := make([]byte, 1<<16)
		t.Errorf("left behind (-before +after)\n%s\n%s", diff, stacks[:runtime.Stack(stacks, true)])
	}
}

func TestFIFOWaitsForTheOtherEnd(t *testing.T) {
	folder := t.TempDir()
	mkfifo(t, folder+"/fifo")
	for name, test := range map[string]struct {
		steps []step
		end   int // of the host
	}{
		"reader": {read("fifo"), os.O_WRONLY},
		"writer": {[]step{
			do(unix.SYS_OPENAT, unix.AT_FDCWD, "fifo", unix.O_WRONLY|unix.O_CLOEXEC, 0),
			do(unix.SYS_WRITE, back{1}, "through", 7),
			do(unix.SYS_FCNTL, back{2}, unix.F_GETFD),
		}, os.O_RDONLY},
	} {
		t.Run(name, func(t *testing.T) {
			before := held(t)
			c := start(t, grants{cwd: folder}, []string{"openat"}, perform, test.steps...)
			c.waits(t)
			end, err := os.OpenFile(folder+"/fifo", test.end, 0)
			if err != nil {
				t.Fatal(err)
			}
			if test.end == os.O_WRONLY {
				if _, err := end.WriteString("through"); err != nil {
					t.Error(err)
				}
			} else if text, err := io.ReadAll(end); err != nil || string(text) != "through" {
				t.Errorf("%q, %v", text, err)
			}
			if err := end.Close(); err != nil {
				t.Error(err)
			}
			done := c.finish(t)
			if test.end == os.O_WRONLY && done[1].Data != "through" {
				t.Errorf("the child reads %+v", done[1])
			}
			if test.end == os.O_RDONLY && (done[1].Result != 7 || done[2].Result != unix.FD_CLOEXEC) {
				t.Errorf("the child writes %+v", done)
			}
			c.workers.Wait()
			expectNothingLeft(t, before)
		})
	}
}

// The wait of a child that dies is over with the run, and nothing is left of it.
func TestFIFOOfAChildThatDies(t *testing.T) {
	folder := t.TempDir()
	mkfifo(t, folder+"/fifo")
	for name, flags := range map[string]int{"reader": unix.O_RDONLY, "writer": unix.O_WRONLY} {
		t.Run(name, func(t *testing.T) {
			before := held(t)
			c := start(t, grants{cwd: folder}, []string{"openat"}, perform, do(unix.SYS_OPENAT, unix.AT_FDCWD, "fifo", flags, 0))
			c.waits(t)
			if err := c.Kill(); err != nil {
				t.Fatal(err)
			}
			if result, err := c.Wait(); err != nil || result.Reason != sandbox.Killed {
				t.Errorf("%+v, %v", result, err)
			}
			c.workers.Wait()
			expectNothingLeft(t, before)
		})
	}
}

// The time limit of a decision holds for calls that wait; the descriptor of one that succeeds later is closed.
func TestFIFOThatTakesTooLong(t *testing.T) {
	folder := t.TempDir()
	mkfifo(t, folder+"/fifo")
	mkfifo(t, folder+"/go")
	before := held(t)
	steps := []step{
		do(unix.SYS_OPENAT, unix.AT_FDCWD, "fifo", unix.O_RDONLY, 0),
		do(unix.SYS_MKDIRAT, unix.AT_FDCWD, "over", 0o700), // not performed: it only tells
	}
	g := grants{cwd: folder, timeout: 50 * time.Millisecond}
	c := start(t, g, []string{"openat"}, perform, steps...)
	done := make(chan error)
	go func() {
		// Nobody waits any more, but the thread does: it is released by the other end.
		for {
			if _, err := os.Stat(folder + "/over"); err == nil {
				break
			}
			runtime.Gosched()
		}
		fd, err := unix.Open(folder+"/fifo", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		if errors.Is(err, unix.ENXIO) { // the end of the run was faster
			err = nil
		}
		done <- err
	}()
	got := c.finish(t)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]outcome{{Result: -1, Error: "ETIMEDOUT"}, {}}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if expired := c.Supervisor().Expired(); len(expired) != 1 {
		t.Errorf("expired: %v", expired)
	}
	c.workers.Wait()
	expectNothingLeft(t, before)
}
