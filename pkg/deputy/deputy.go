package deputy

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// ErrUnsupported says that a system call cannot be performed for somebody else, such as execve, or is not known here.
var ErrUnsupported = errors.New("the system call cannot be performed on the task's behalf")

// maxThreads bounds how many calls may be performed at once; some block, such as the opening of a FIFO.
const maxThreads = 64

// A Deputy performs calls for the tasks of one sandbox.
type Deputy struct {
	ruleset int

	mu      sync.Mutex
	idle    []*thread
	threads []*thread
	fifos   []int // that threads wait to open
	closed  bool
	running sync.WaitGroup
}

// New makes a deputy inside a Landlock ruleset, whose descriptor it owns.
func New(ruleset int) *Deputy { return &Deputy{ruleset: ruleset} }

// Result is what a performed call gave: a descriptor of ours that the task shall get, or a value, or an errno.
type Result struct {
	FD          int // or -1; the caller's
	CloseOnExec bool
	Value       int64
	Errno       unix.Errno

	output  []byte // for the task's memory
	address uint64
	outside func() Result // what is left to do outside of the domain, which gives the result
}

// A job is one call on its way to a thread.
type job struct {
	do   func() Result
	done chan Result
}

// A thread is a confined OS thread.
type thread struct {
	jobs chan job
}

// run performs something on a confined thread.
func (d *Deputy) run(do func() Result) (Result, error) {
	t, err := d.acquire()
	if err != nil {
		return Result{}, err
	}
	j := job{do: do, done: make(chan Result, 1)}
	t.jobs <- j
	result := <-j.done
	d.mu.Lock()
	defer d.mu.Unlock()
	d.idle = append(d.idle, t)
	return result, nil
}

func (d *Deputy) acquire() (*thread, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, notify.ErrGone
	}
	if last := len(d.idle) - 1; last >= 0 {
		t := d.idle[last]
		d.idle = d.idle[:last]
		return t, nil
	}
	if len(d.threads) >= maxThreads {
		return nil, fmt.Errorf("perform a call: %d are under way: %w", maxThreads, unix.EAGAIN)
	}
	t := &thread{jobs: make(chan job, 1)}
	ready := make(chan error)
	d.running.Go(func() { d.serve(t, ready) })
	if err := <-ready; err != nil {
		return nil, err
	}
	d.threads = append(d.threads, t)
	return t, nil
}

// serve confines its OS thread and performs what comes. The thread is never unlocked: it ends with the goroutine.
func (d *Deputy) serve(t *thread, ready chan<- error) {
	runtime.LockOSThread()
	if err := confine(d.ruleset); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for j := range t.jobs {
		j.done <- j.do()
	}
}

// confine gives the calling thread a file system context of its own and the sandbox's domain, for good.
func confine(ruleset int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("separate the deputy's umask: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
		return fmt.Errorf("enforce the Landlock ruleset on the deputy: %w", errno)
	}
	return nil
}

// Close ends the threads and waits for them. No task of the sandbox may be left.
func (d *Deputy) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	for _, t := range d.threads {
		close(t.jobs)
	}
	both := d.releaseWaiters()
	d.mu.Unlock()
	d.running.Wait()
	for _, fd := range both {
		unix.Close(fd)
	}
	return unix.Close(d.ruleset)
}
