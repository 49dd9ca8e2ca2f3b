package supervise_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

func init() {
	children["group"] = groupOfTwo
	children["group without leader"] = groupWithoutLeader
	children["wait"] = func() { io.Copy(io.Discard, os.Stdin) }
	children["ask later"] = func() {
		io.Copy(io.Discard, os.Stdin)
		fmt.Println(ask("ppid", 1))
	}
}

// A member is one process of a child's group, and the stdin that it waits for.
type member struct {
	*exec.Cmd
	stdin io.Closer
}

// startMember starts the test binary again in a process group, or with 0 in one of its own.
func startMember(name string, group int) member {
	executable, err := os.Executable()
	if err != nil {
		panic(err)
	}
	m := member{Cmd: exec.Command(executable)}
	m.Env = append(os.Environ(), childEnv+"="+name)
	m.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: group}
	m.Stdout = os.Stdout
	if m.stdin, err = m.StdinPipe(); err != nil {
		panic(err)
	}
	if err := m.Start(); err != nil {
		panic(err)
	}
	return m
}

func (m member) end() string {
	m.Wait()
	return m.ProcessState.String()
}

// groupOfTwo starts a group of a process that waits and one that asks, and tells how they ended.
func groupOfTwo() {
	waiting := startMember("wait", 0)
	asking := startMember("ask later", waiting.Process.Pid)
	fmt.Println(waiting.Process.Pid, asking.Process.Pid)
	asking.stdin.Close()
	first := asking.end()
	waiting.stdin.Close()
	fmt.Printf("asking: %s, waiting: %s\n", first, waiting.end())
}

// groupWithoutLeader does the same when the group's leader has ended.
func groupWithoutLeader() {
	leader := startMember("wait", 0)
	asking := startMember("ask later", leader.Process.Pid)
	leader.stdin.Close()
	leader.end()
	asking.stdin.Close()
	fmt.Println("asking:", asking.end())
}

// answering starts a child whose getppid is answered by a handler.
func answering(t *testing.T, name string, answer func(*notify.Notification) supervise.Action, args ...string) (c *child, served func()) {
	t.Helper()
	c = starting(t, chains{"ppid": {Handlers: []supervise.Handler{supervise.HandlerFunc(answer)}}}, name, args...)
	return c, c.serve()
}

func always(a supervise.Action) func(*notify.Notification) supervise.Action {
	return func(*notify.Notification) supervise.Action { return a }
}

func TestKillReachesTheGroup(t *testing.T) {
	c, served := answering(t, "group", always(supervise.Kill(unix.SIGKILL, 0)))
	c.line(t)
	if got, want := c.line(t), "asking: signal: killed, waiting: signal: killed"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	served()
	c.closeWithout(t)
	if !c.Killed() {
		t.Error("the supervisor knows of no kill")
	}
}

func TestKillOfANamedGroup(t *testing.T) {
	c, served := answering(t, "group", func(n *notify.Notification) supervise.Action {
		group, err := unix.Getpgid(n.Task())
		if err != nil {
			t.Error(err)
		}
		return supervise.Kill(unix.SIGTERM, group)
	})
	c.line(t)
	if got, want := c.line(t), "asking: signal: terminated, waiting: signal: terminated"; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	served()
	c.closeWithout(t)
	if c.Killed() {
		t.Error("SIGTERM counts as a kill")
	}
}

func TestKillProcessReachesItAlone(t *testing.T) {
	for name, named := range map[string]bool{"that made the call": false, "that is named": true} {
		t.Run(name, func(t *testing.T) {
			c, served := answering(t, "group", func(n *notify.Notification) supervise.Action {
				pid := 0
				if named {
					pid = n.Task() // the main thread
				}
				return supervise.KillProcess(unix.SIGKILL, pid)
			})
			c.line(t)
			if got, want := c.line(t), "asking: signal: killed, waiting: exit status 0"; got != want {
				t.Errorf("%s; want %s", got, want)
			}
			served()
			c.closeWithout(t)
		})
	}
}

// A group lives on when its leader has ended, and so does what is asked of its members: otherwise a child that arranges
// for this would survive every kill.
func TestKillReachesAGroupWithoutLeader(t *testing.T) {
	c, served := answering(t, "group without leader", always(supervise.Kill(unix.SIGKILL, 0)))
	text, err := io.ReadAll(c.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("asking: signal: killed\n", string(text)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	served()
	c.closeWithout(t)
}

// foreigner is a process outside of the sandbox that leads a group.
func foreigner(t *testing.T) (pid int) {
	t.Helper()
	command := exec.Command("sleep", "1000")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	return command.Process.Pid
}

func TestKillRefusesWhoIsForeign(t *testing.T) {
	for _, test := range []struct {
		name string
		kill func(pid int) supervise.Action
		want string
	}{
		{"group", func(pid int) supervise.Action { return supervise.Kill(unix.SIGKILL, pid) },
			"supervise: kill process group %d: it is not the sandbox's"},
		{"process", func(pid int) supervise.Action { return supervise.KillProcess(unix.SIGKILL, pid) },
			"supervise: kill process %d: it is not the sandbox's"},
	} {
		t.Run(test.name, func(t *testing.T) {
			pid := foreigner(t)
			c, served := answering(t, "ask", always(test.kill(pid)), "ppid:1")
			c.expectAnswers(t, strconv.Itoa(-int(unix.EPERM)))
			served()
			err := c.Close()
			if want := fmt.Sprintf(test.want, pid); err == nil || err.Error() != want {
				t.Errorf("%v; want %s", err, want)
			}
			var info unix.Siginfo
			if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil || info.Signo != 0 {
				t.Errorf("the foreign process has ended: %+v, %v", info, err)
			}
		})
	}
}

func TestKillRefusesWhatIsNoGroup(t *testing.T) {
	for _, group := range []int{1, -1, -5, 1 << 30} {
		t.Run(strconv.Itoa(group), func(t *testing.T) {
			c, served := answering(t, "ask", always(supervise.Kill(unix.SIGKILL, group)), "ppid:1")
			c.expectAnswers(t, strconv.Itoa(-int(unix.EPERM)))
			served()
			if err := c.Close(); err == nil || !strings.Contains(err.Error(), "it is not the sandbox's") {
				t.Errorf("%v", err)
			}
		})
	}
}

// The reaper cleans up after the child: whoever decides cannot end it.
func TestKillRefusesTheReaper(t *testing.T) {
	var reaper int
	started := make(chan struct{})
	c, served := answering(t, "ask", func(*notify.Notification) supervise.Action {
		<-started
		return supervise.KillProcess(unix.SIGKILL, reaper)
	}, "ppid:1")
	reaper = c.Reaper
	close(started)
	c.expectAnswers(t, strconv.Itoa(-int(unix.EPERM)))
	served()
	if err := c.Close(); err == nil {
		t.Error("nothing was refused")
	}
	if status := c.reap(t); status != (launch.Status{}) {
		t.Errorf("%+v", status)
	}
}

func TestKillThatIsSurvivedFailsTheCall(t *testing.T) {
	c, served := answering(t, "ask", always(supervise.Kill(unix.SIGWINCH, 0)), "ppid:1") // ignored by default
	c.expectAnswers(t, strconv.Itoa(-int(unix.EPERM)))
	served()
	c.closeWithout(t)
}

// A child cannot fill the supervisor's memory with errors.
func TestErrorsAreBounded(t *testing.T) {
	c, served := answering(t, "ask", always(supervise.Kill(unix.SIGKILL, 1)), "ppid:1*1000")
	served()
	err := c.Close()
	var all interface{ Unwrap() []error }
	if !errors.As(err, &all) {
		t.Fatalf("%v", err)
	}
	if count := len(all.Unwrap()); count == 0 || count > 100 {
		t.Errorf("%d errors", count)
	}
}
