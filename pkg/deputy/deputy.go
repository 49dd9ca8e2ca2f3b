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

// maxThreads bounds how many calls may be performed at once.
const maxThreads = 64

// A Deputy performs calls for the tasks of one sandbox.
type Deputy struct {
	rulesets []int
	identity *identity

	mu      sync.Mutex
	idle    []*thread
	threads []*thread
	closed  bool
}

// New makes a deputy inside Landlock rulesets, all of which grant what it may do. It owns their descriptors.
func New(rulesets ...int) *Deputy { return &Deputy{rulesets: rulesets} }

// Result is what a performed call gave: a descriptor of ours that the task shall get, or a value, or an errno.
type Result struct {
	FD          int // or -1; the caller's
	CloseOnExec bool
	Value       int64
	Errno       unix.Errno

	// Unjudged is where one of the paths leads, when that is no name that was judged: nothing was done then.
	Unjudged string

	output  []byte // for the task's memory
	address uint64
	outside func() Result // what is left to do outside of the domain, which gives the result
	waiting *waiting
}

// A job is one call on its way to a thread, and who wants its result.
type job struct {
	do   func(*thread) Result
	done func(Result)
}

// A thread is a confined OS thread.
type thread struct {
	jobs  chan job
	ended chan struct{}

	// Under the deputy's lock:
	wait *waiting // what the thread waits to open
	end  int      // a descriptor that ends the wait, or -1
}

// run performs something on a confined thread.
func (d *Deputy) run(do func(*thread) Result) (Result, error) {
	results := make(chan Result, 1)
	if err := d.send(job{do, func(r Result) { results <- r }}); err != nil {
		return Result{}, err
	}
	return <-results, nil
}

// Do does something on a confined thread, and waits for it. A panic there is an error.
func (d *Deputy) Do(do func()) error {
	return d.do(func() error {
		do()
		return nil
	})
}

// DoAs is Do with the credentials of the task whose call it is.
func (d *Deputy) DoAs(n *notify.Notification, do func()) error {
	who, err := callerOf(n.Task())
	if err != nil {
		return err
	}
	if !n.Valid() {
		return notify.ErrGone
	}
	return d.do(func() error {
		restore, err := assume(who)
		if err != nil {
			return err
		}
		defer restore()
		do()
		return nil
	})
}

func (d *Deputy) do(do func() error) error {
	var err error
	result, failed := d.run(func(*thread) Result {
		err = do()
		return Result{}
	})
	if failed == nil && result.Errno != 0 {
		failed = result.Errno
	}
	return errors.Join(failed, err)
}

// send gives a job to an idle thread, or to a new one.
func (d *Deputy) send(j job) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return notify.ErrGone
	}
	if last := len(d.idle) - 1; last >= 0 {
		t := d.idle[last]
		d.idle = d.idle[:last]
		t.jobs <- j // has room: the thread has taken the one before
		return nil
	}
	if len(d.threads) >= maxThreads {
		return fmt.Errorf("perform a call: %d are under way: %w", maxThreads, unix.EAGAIN)
	}
	t := &thread{jobs: make(chan job, 1), ended: make(chan struct{}), end: -1}
	ready := make(chan error)
	go d.serve(t, ready)
	if err := <-ready; err != nil {
		return err
	}
	d.threads = append(d.threads, t)
	t.jobs <- j
	return nil
}

// serve confines its OS thread and performs what comes. The thread is never unlocked: it ends with the goroutine.
func (d *Deputy) serve(t *thread, ready chan<- error) {
	runtime.LockOSThread()
	defer close(t.ended)
	if err := confine(d.rulesets); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for j := range t.jobs {
		result := t.perform(j)
		d.mu.Lock()
		d.idle = append(d.idle, t)
		d.mu.Unlock()
		j.done(result)
	}
}

// perform turns a panic into an errno: what a task asks for must not end the host.
func (t *thread) perform(j job) (result Result) {
	defer func() {
		if recover() != nil {
			result = failed(unix.EIO)
		}
	}()
	return j.do(t)
}

// confine gives the calling thread a file system context of its own and the sandbox's domain, for good.
func confine(rulesets []int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("separate the deputy's umask: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	for _, ruleset := range rulesets {
		if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
			return fmt.Errorf("enforce the Landlock ruleset on the deputy: %w", errno)
		}
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
	var ending []*thread
	for _, t := range d.threads {
		close(t.jobs)
		if t.wait == nil || t.endWait() == nil { // nothing ends the others: they stay behind
			ending = append(ending, t)
		}
	}
	d.mu.Unlock()
	for _, t := range ending {
		<-t.ended
	}
	var err error
	for _, ruleset := range d.rulesets {
		err = errors.Join(err, unix.Close(ruleset))
	}
	return err
}
