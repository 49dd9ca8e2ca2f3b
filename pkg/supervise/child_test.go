package supervise_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/seccomp"
	"sandlock/pkg/supervise"
)

// The tests run the test binary again as a child behind a filter that sends some calls to the supervisor. Nobody else
// makes them, and the kernel ignores what is in their further arguments, so that they can tell the host anything.

// limit bounds each test: when it is over the child is killed, which ends whatever waits for it.
const limit = time.Minute

// childEnv names what the child is to do.
const childEnv = "SUPERVISE_TEST_CHILD"

var children = map[string]func(){"ask": askInThreads}

func TestMain(m *testing.M) {
	if do, ok := children[os.Getenv(childEnv)]; ok {
		do()
		return
	}
	os.Exit(m.Run())
}

// questions are the calls that a child asks with, by their names in its arguments.
var questions = map[string]int{"ppid": unix.SYS_GETPPID, "sid": unix.SYS_GETSID}

// ask makes a call and gives what came back in the register of the result.
func ask(name string, number uintptr) int64 {
	// What the call itself reads is 0; the number is in an argument that it does not have.
	result, _, errno := unix.Syscall6(uintptr(questions[name]), 0, number, 0, 0, 0, 0)
	if errno != 0 {
		return -int64(errno)
	}
	return int64(result)
}

// number is what a child asks with.
func number(n *notify.Notification) int { return int(n.Args()[1]) }

// askInThreads starts a thread for each argument, a list like "ppid:1,sid:2*3" of calls with numbers, and prints the
// answers to each list on a line. The word "stdin" in a list waits for the end of stdin.
func askInThreads() {
	lines := make([]string, len(os.Args)-1)
	var threads sync.WaitGroup
	for i, list := range os.Args[1:] {
		threads.Go(func() {
			runtime.LockOSThread()
			var answers []string
			for item := range strings.SplitSeq(list, ",") {
				if item == "stdin" {
					io.Copy(io.Discard, os.Stdin)
					continue
				}
				name, rest, _ := strings.Cut(item, ":")
				number, times, _ := strings.Cut(rest, "*")
				n, _ := strconv.Atoi(number)
				count, err := strconv.Atoi(times)
				if err != nil {
					count = 1
				}
				for range count {
					answers = append(answers, fmt.Sprint(ask(name, uintptr(n))))
				}
			}
			lines[i] = strings.Join(answers, " ")
		})
	}
	threads.Wait()
	fmt.Println(strings.Join(lines, "\n"))
}

// A child is a started child with its supervisor.
type child struct {
	*launch.Process
	*supervise.Supervisor
	stdin  *os.File
	stdout *bufio.Reader

	mu     sync.Mutex
	reaped bool
}

// chains are the answers to the calls that a child asks with.
type chains map[string]supervise.Chain

// asking starts a child that asks: see askInThreads.
func asking(t *testing.T, c chains, lists ...string) *child {
	t.Helper()
	return starting(t, c, "ask", lists...)
}

// starting starts a child with a supervisor for whom nobody works yet. Both are gone when the test is over.
func starting(t *testing.T, c chains, name string, args ...string) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	byNumber := map[int]supervise.Chain{}
	for name, chain := range c {
		byNumber[questions[name]] = chain
	}
	return launched(t, byNumber, slices.Collect(maps.Values(questions)), append([]string{executable}, args...), childEnv+"="+name)
}

func launched(t *testing.T, chains map[int]supervise.Chain, calls []int, argv []string, env ...string) *child {
	t.Helper()
	filter, err := seccomp.Compile(seccomp.Spec{Arch: seccomp.Native(), Notify: calls})
	if err != nil {
		t.Fatal(err)
	}
	childIn, stdin := pipe(t)
	stdout, childOut := pipe(t)
	defer childIn.Close()
	defer childOut.Close()
	p, err := launch.Start(launch.Spec{
		Path: argv[0], Argv: argv, Dir: -1,
		Env:     append([]string{"PATH=/usr/bin:/bin", "GORACE=atexit_sleep_ms=0"}, env...),
		Files:   []int{int(childIn.Fd()), int(childOut.Fd()), int(childOut.Fd())},
		Ruleset: -1, ReaperRuleset: -1,
		Filter: filter.Program, FilterFlags: seccomp.ListenerFlags(),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := notify.NewListener(p.Listener)
	if err != nil {
		t.Fatal(err)
	}
	kill := func() error { return p.Signal(unix.SIGKILL) }
	c := &child{Process: p, Supervisor: supervise.New(listener, chains, p.Reaper, kill), stdin: stdin, stdout: bufio.NewReader(stdout)}
	overdue := time.AfterFunc(limit, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.reaped {
			t.Errorf("not done after %v", limit)
			c.Signal(unix.SIGKILL)
			c.Shutdown()
		}
	})
	t.Cleanup(func() {
		overdue.Stop()
		c.kill(t)
		c.reap(t)
		c.Close() // its errors are the test's to look at
	})
	return c
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// kill ends the child and returns when it is a zombie at most.
func (c *child) kill(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	if !c.reaped {
		c.Signal(unix.SIGKILL) // fails only where it has ended already
	}
	c.mu.Unlock()
	c.gone(t)
}

// gone waits until the child is a zombie at most.
func (c *child) gone(t *testing.T) {
	t.Helper()
	for !c.reaped {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(c.Ended()), Events: unix.POLLIN}}, -1)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// reap waits for the child's end.
func (c *child) reap(t *testing.T) (status launch.Status) {
	t.Helper()
	c.gone(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return status
	}
	c.reaped = true
	status, err := c.Wait()
	if err != nil {
		t.Error(err)
	}
	return status
}

// line gives the next line that the child prints.
func (c *child) line(t *testing.T) string {
	t.Helper()
	text, err := c.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("the child says %q: %v", text, err)
	}
	return strings.TrimSuffix(text, "\n")
}

// expectAnswers compares what the child's threads got: a line for each.
func (c *child) expectAnswers(t *testing.T, want ...string) {
	t.Helper()
	text, err := io.ReadAll(c.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")); diff != "" {
		t.Errorf("the child's answers (-want +got)\n%s", diff)
	}
}

// serve answers without workers, until the returned function has waited for the end.
func (c *child) serve() (served func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Serve()
	}()
	return func() { <-done }
}

// A worker pulls on a thread of its own.
type worker struct {
	*supervise.Worker
	thread int
	done   chan struct{} // closed when it was sent home
}

// work lets a worker decide until it is sent home. The decision is given by Answer.
func (c *child) work(decide func(w *worker, n *notify.Notification)) *worker {
	w := &worker{Worker: c.NewWorker(), done: make(chan struct{})}
	started := make(chan struct{})
	go func() {
		defer close(w.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		w.thread = unix.Gettid()
		close(started)
		for n := c.Next(w.Worker); n != nil; n = c.Next(w.Worker) {
			decide(w, n)
		}
	}()
	<-started
	return w
}

// home waits until the worker was sent home.
func (w *worker) home(t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(limit):
		t.Fatalf("a worker is not home after %v", limit)
	}
}

// receives waits until the worker's thread is blocked in the listener's poll.
func (w *worker) receives(t *testing.T) {
	t.Helper()
	path := fmt.Sprintf("/proc/self/task/%d/syscall", w.thread)
	if _, err := os.ReadFile(path); err != nil {
		t.Skipf("this kernel does not tell what a thread waits in: %v", err)
	}
	eventually(t, "a worker that receives", func() bool {
		text, _ := os.ReadFile(path)
		first, _, _ := strings.Cut(string(text), " ")
		return first == strconv.Itoa(unix.SYS_PPOLL)
	})
}

// handle is a handler that always gives the same answer.
func handle(a supervise.Action) supervise.Handler {
	return supervise.HandlerFunc(func(*notify.Notification) supervise.Action { return a })
}

// eventually waits for what no event tells.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > limit {
			t.Fatalf("not after %v: %s", limit, what)
		}
	}
}

// closeWithout closes the supervisor, which must have met no error.
func (c *child) closeWithout(t *testing.T) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
