package launch

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// contained and uncontained Specs differ in how a signal finds the tree.
func bothWays(t *testing.T, test func(*testing.T, Spec)) {
	t.Run("contained", func(t *testing.T) {
		spec := plain()
		spec.ReaperRuleset = scope(t)
		test(t, spec)
	})
	t.Run("uncontained", func(t *testing.T) { test(t, plain()) })
}

// stateOf is the third field of proc_pid_stat(5).
func stateOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	return string(bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])[0])
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}

func TestSignalTree(t *testing.T) {
	bothWays(t, func(t *testing.T, spec Spec) {
		// The command, a child of it, and one that has left session and parent.
		p := start(t, spec, "/bin/sh", "-c",
			"setsid setsid sh -c 'echo $$; exec sleep 1000' & sh -c 'echo $$; exec sleep 1000' & echo $$; exec sleep 1000")
		lines := bufio.NewReader(p.output)
		var pids []int
		for range 3 {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
		for _, step := range []struct {
			signal  unix.Signal
			stopped bool
		}{{unix.SIGSTOP, true}, {unix.SIGCONT, false}, {unix.SIGSTOP, true}} {
			if err := p.SignalTree(step.signal); err != nil {
				t.Fatal(err)
			}
			for _, pid := range pids {
				eventually(t, fmt.Sprint(step), func() bool { return (stateOf(pid) == "T") == step.stopped })
			}
		}
		if err := p.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, 0); err != unix.ESRCH {
				t.Errorf("process %d lives on: %v", pid, err)
			}
		}
	})
}

func TestSignalGroup(t *testing.T) {
	bothWays(t, func(t *testing.T, spec Spec) {
		p := start(t, spec, "/bin/sh", "-c", `trap 'echo command' USR1
			sh -c 'trap "echo member; exit" USR1; echo up; while :; do sleep 0.01; done' &
			setsid sh -c 'trap "echo stranger" USR1; echo up; exec sleep 1000' &
			wait; wait; exit 3`)
		lines := bufio.NewReader(p.output)
		next := func() string {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(line)
		}
		if up := next() + next(); up != "upup" {
			t.Fatal(up)
		}
		if err := p.SignalGroup(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		if got := []string{next(), next()}; got[0] == got[1] || got[0] == "stranger" || got[1] == "stranger" {
			t.Errorf("%q got the signal", got)
		}
		if err := p.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// What is gone cannot be signalled, and nobody waits for a reaper that takes no orders.
func TestSignalAfterTheEnd(t *testing.T) {
	bothWays(t, func(t *testing.T, spec Spec) {
		p := start(t, spec, "/bin/true")
		ended := []unix.PollFd{{Fd: int32(p.Ended()), Events: unix.POLLIN}}
		if _, err := unix.Poll(ended, -1); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := p.SignalGroup(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if err := p.SignalTree(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
		p.finish(t)
	})
}

func TestHeld(t *testing.T) {
	spec := plain()
	spec.Held = true
	p := start(t, spec, "/bin/echo", "released")
	if name, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID)); err != nil || name == "/bin/echo" {
		t.Errorf("%q runs already, %v", name, err)
	}
	p.Release()
	if out, status := p.finish(t); out != "released\n" || status != (Status{}) {
		t.Errorf("%q, %+v", out, status)
	}
}

func TestHeldIsKilled(t *testing.T) {
	spec := plain()
	spec.Held = true
	p := start(t, spec, "/bin/echo", "released")
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if out, status := p.finish(t); out != "" || status != (Status{Signal: unix.SIGKILL}) {
		t.Errorf("%q, %+v", out, status)
	}
}
