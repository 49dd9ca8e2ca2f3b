package deputy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
	"sandlock/pkg/supervise"
)

// A decision answers a notification: with the result, or else, where the result is nil, with the action.
type decision func(*deputy.Deputy, *notify.Notification) (*deputy.Result, supervise.Action)

// maxWaiting is more than any test lets wait.
const maxWaiting = 64

// A child is a sandboxed child with those who decide about its calls.
type child struct {
	*sandbox.Process
	steps   int
	workers sync.WaitGroup

	waiting chan struct{} // gets a value for each call that begins to wait
	mu      sync.Mutex
	errs    []error
}

// grants are the files and folders that a child may use beside its own program; the working directory comes first.
type grants struct {
	cwd      string
	readable []string
	timeout  time.Duration // of a decision
}

// libraries are what a program needs to start, where the machine has it.
func libraries() []string {
	return slices.DeleteFunc([]string{"/lib", "/lib64", "/usr/lib"}, func(path string) bool {
		_, err := os.Stat(path)
		return err != nil
	})
}

// start starts a child. It is gone when the test is over.
func start(t *testing.T, g grants, calls []string, decide decision, steps ...step) *child {
	t.Helper()
	list, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	c := launch(t, g, calls, decide, sandbox.Command{Args: []string{string(list)}, Stdout: sandbox.Pipe()})
	c.SetDeadline(time.Now().Add(limit))
	c.steps = len(steps)
	return c
}

// launch starts a child with the arguments and streams of a command.
func launch(t testing.TB, g grants, calls []string, decide decision, command sandbox.Command) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := sandbox.Sandbox{Policy: policy.Policy{
		FSReadable: slices.Concat([]string{executable}, libraries(), g.readable), FSWritable: []string{g.cwd}, Cwd: g.cwd,
		AllowDegraded: policy.Protections(),
	}}
	for _, call := range calls {
		s.Handlers = append(s.Handlers, sandbox.Registration{Syscall: call, Timeout: g.timeout,
			Fallback: supervise.Fail(unix.ETIMEDOUT)})
	}
	command.Args = append([]string{executable}, command.Args...)
	command.Environ, command.Stderr = []string{childEnv + "=1"}, sandbox.Pipe()
	p, result, err := s.Start(command)
	if err != nil || p == nil {
		t.Fatal(err, result)
	}
	c := &child{Process: p, waiting: make(chan struct{}, maxWaiting)}
	if len(calls) > 0 {
		for range 2 {
			c.workers.Go(func() { c.work(decide) })
		}
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		c.workers.Wait()
		for _, err := range c.errs {
			t.Error(err)
		}
	})
	return c
}

// work decides about the steps; calls of the Go runtime are let go on.
func (c *child) work(decide decision) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := c.Supervisor()
	w := s.NewWorker()
	for n := s.Next(w); n != nil; n = s.Next(w) {
		if n.Args()[5] != mark {
			w.Answer(supervise.Continue())
			continue
		}
		result, action := decide(c.Deputy(), n)
		switch {
		case result == nil:
			w.Answer(action)
		case result.Waits():
			w.Detach()
			id := n.ID()
			c.Deputy().Await(*result, func(r deputy.Result) {
				action, done := answerOf(r)
				defer done()
				s.Complete(id, action) // fails only where the call was answered already, or the child is gone
			})
			c.waiting <- struct{}{}
		default:
			action, done := answerOf(*result)
			w.Answer(action)
			if _, err := s.Settle(w); err != nil && !errors.Is(err, notify.ErrGone) {
				c.note(err)
			}
			done()
		}
	}
}

func (c *child) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

// answerOf is the action for a result; done closes its descriptor afterwards.
func answerOf(r deputy.Result) (action supervise.Action, done func()) {
	switch {
	case r.Errno != 0:
		return supervise.Fail(r.Errno), func() {}
	case r.FD < 0:
		return supervise.Return(r.Value), func() {}
	}
	flags := uint32(0)
	if r.CloseOnExec {
		flags = unix.O_CLOEXEC
	}
	return supervise.SendFD(r.FD, flags), func() { unix.Close(r.FD) }
}

// finish waits for the end of the child and gives the outcomes of its steps.
func (c *child) finish(t *testing.T) []outcome {
	t.Helper()
	result, err := c.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if result.Reason != sandbox.Exited || result.ExitCode != 0 {
		t.Fatalf("the child %v with %d: %s", result.Reason, result.ExitCode, result.Stderr)
	}
	var done []outcome
	for decoder := json.NewDecoder(strings.NewReader(string(result.Stdout))); ; {
		var o outcome
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v: %q", err, result.Stdout)
		}
		done = append(done, o)
	}
	if len(done) != c.steps {
		t.Fatalf("%d of %d steps were made: %s", len(done), c.steps, result.Stderr)
	}
	return done
}

// stringAt reads a path of the call's.
func stringAt(n *notify.Notification, address uint64) (string, error) {
	buffer := make([]byte, unix.PathMax)
	length, err := n.ReadString(buffer, address, unix.PathMax-1)
	return string(buffer[:max(length, 0)]), err
}

// pathArguments are the arguments that are paths, by the system call, as far as the tests make it.
var pathArguments = map[int][]int{
	unix.SYS_RENAMEAT2: {1, 3}, unix.SYS_LINKAT: {1, 3}, unix.SYS_SYMLINKAT: {0, 2}, unix.SYS_TRUNCATE: {0},
	unix.SYS_STATFS: {0},
}

func pathsOf(n *notify.Notification) (paths []string, err error) {
	arguments, ok := pathArguments[n.Syscall()]
	if !ok {
		arguments = []int{1}
	}
	for _, i := range arguments {
		path, err := stringAt(n, n.Args()[i])
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// perform decides to perform every call as it was made.
func perform(d *deputy.Deputy, n *notify.Notification) (*deputy.Result, supervise.Action) {
	paths, err := pathsOf(n)
	if err != nil {
		return nil, supervise.Fail(unix.EFAULT)
	}
	return performed(d.Perform(n, paths...))
}

// performed hands a result on; an error, which none of the tests that use it expects, ends the child.
func performed(result deputy.Result, err error) (*deputy.Result, supervise.Action) {
	if err != nil {
		return nil, supervise.Kill(unix.SIGKILL, 0)
	}
	return &result, supervise.Action{}
}

// everyCall are the names of the calls that a list of steps makes and the deputy can perform.
func everyCall(steps []step) []string {
	var calls []string
	for _, s := range steps {
		if deputy.Paths(s.Call) > 0 {
			calls = append(calls, fmt.Sprint(s.Call))
		}
	}
	slices.Sort(calls)
	return slices.Compact(calls)
}
