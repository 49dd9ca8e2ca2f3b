package launch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// reapers are the children of this process without an exit signal, of which there are no others.
func reapers(t *testing.T) (pids []int) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may be gone
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Whenever somebody kills the reaper, the start returns, and the command is gone when Wait has.
func TestReaperKilled(t *testing.T) {
	done := make(chan struct{})
	killed := make(chan int)
	go func() {
		count := 0
		for {
			select {
			case <-done:
				killed <- count
				return
			default:
			}
			for _, pid := range reapers(t) {
				if unix.Kill(pid, unix.SIGKILL) == nil {
					count++
				}
			}
		}
	}()
	before := descriptors(t)
	for range 300 {
		p, err := startWith(t, plain(), "/bin/sleep", "1000")
		if err == nil {
			_, status := p.finish(t)
			if status != (Status{Signal: unix.SIGKILL}) {
				t.Errorf("%+v", status)
			}
			if state := stateOf(p.PID); !slices.Contains([]string{"", "Z", "X"}, state) {
				t.Errorf("the command %d lives on: %s", p.PID, state)
			}
		} else if text := err.Error(); text != "start the command: it died of killed" {
			t.Error(text)
		}
		p.output.Close()
	}
	close(done)
	if count := <-killed; count < 300 {
		t.Errorf("%d reapers killed", count)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// Hosts wait for all children, some with __WALL.
func TestSomebodyElseWaitsForTheReaper(t *testing.T) {
	p := start(t, plain(), "/bin/sh", "-c", "exit 5")
	if pid, err := unix.Wait4(p.Reaper, nil, unix.WALL, nil); pid != p.Reaper || err != nil {
		t.Fatal(pid, err)
	}
	if _, status := p.finish(t); status != (Status{Code: 5}) {
		t.Errorf("%+v", status)
	}
}

// cgroupEnv names the cgroup of the pids controller that the child of TestNoMoreProcesses is to join.
const cgroupEnv = "LAUNCH_TEST_CGROUP"

// Where there may be a reaper but no command, the kernel makes the command's pidfd and takes it back.
func TestNoMoreProcesses(t *testing.T) {
	if group := os.Getenv(cgroupEnv); group != "" {
		startInFullGroup(t, group)
		return
	}
	group, err := os.MkdirTemp("/sys/fs/cgroup/pids", "sandlock-test-")
	if err != nil {
		t.Skipf("no cgroup can be made: %v", err)
	}
	t.Cleanup(func() { eventually(t, "the cgroup is gone", func() bool { return os.Remove(group) == nil }) })
	child := exec.Command(os.Args[0], "-test.run=^TestNoMoreProcesses$", "-test.v")
	child.Env = append(os.Environ(), cgroupEnv+"="+group)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func startInFullGroup(t *testing.T, group string) {
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(group, name), []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	write("cgroup.procs", fmt.Sprint(os.Getpid()))
	start(t, plain(), "/bin/true").finish(t) // whatever threads that takes
	// The runtime may start a thread at any time, which leaves no room for the reaper: then once more.
	eventually(t, "the reaper is the last process that there may be", func() bool {
		tasks, err := os.ReadFile(filepath.Join(group, "pids.current"))
		if err != nil {
			t.Fatal(err)
		}
		count, err := strconv.Atoi(strings.TrimSpace(string(tasks)))
		if err != nil {
			t.Fatal(err)
		}
		write("pids.max", fmt.Sprint(count+1))
		defer write("pids.max", "max")
		before := descriptors(t)
		p, err := startWith(t, plain(), "/bin/true")
		if err == nil {
			p.finish(t)
			return false
		}
		if after := descriptors(t); after > before+1 { // the pipe of the test
			t.Errorf("%d descriptors before, %d after", before, after)
		}
		if strings.HasPrefix(err.Error(), "start the reaper") {
			return false
		}
		if want := (&StepError{Step: "start the command", Errno: unix.EAGAIN}); err.Error() != want.Error() || !errors.Is(err, unix.EAGAIN) {
			t.Errorf("%v, want %v", err, want)
		}
		return true
	})
}
