package limits

import (
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// Forks keeps a tree from having more processes than it may. It handles the calls that make processes: whatever decides
// is in registers, so that the kernel may go on with a call that was judged. As a supervise.Handler it refuses what is too
// much, before others are asked; as a supervise.Performer it lets calls through, one after the other where there may not
// be room for all.
//
// No limit of the kernel's does this: RLIMIT_NPROC is about a user and not about root, pids.max of a cgroup counts
// threads.
type Forks struct {
	mu      sync.Mutex
	root    int
	most    int // processes
	mostAll int // tasks: processes, and the threads beyond the first of each
	known   map[identity]bool
	count   int // processes when they were last counted, and those granted since then
	tasks   int // the same of tasks
	makers  map[int]*maker

	waiting []notify.Notification // until it is known whether there is room
	serving sync.WaitGroup
	err     error // of the answers to them
}

// A maker is a task whose calls were let through since the processes were last counted.
type maker struct {
	children int  // that nobody has seen yet
	underway bool // it may not have come back from the last call
	since    time.Time
}

// forkTime is how long the kernel may take for a fork before it counts as done. Until then a child that cannot be seen
// may yet come; a task that makes another call has come back from the one before.
const forkTime = 500 * time.Millisecond

// threadsBound is how many tasks a tree may have in all: plenty for programs, too few to harm the host.
func threadsBound(processes int) int { return max(1024, 32*min(processes, 1<<30)) }

// NewForks bounds a tree to so many processes.
func NewForks(most uint64) *Forks {
	processes := int(min(most, 1<<30))
	return &Forks{most: processes, mostAll: threadsBound(processes), makers: make(map[int]*maker)}
}

// Restrict lowers the bound from now on; what is not lower changes nothing, and no process that is there is ended.
func (f *Forks) Restrict(most uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.most = int(min(most, uint64(f.most)))
	f.mostAll = min(f.mostAll, threadsBound(f.most))
}

// Begin names the process whose descendants are the tree, which has made no process yet.
func (f *Forks) Begin(root int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.root = root
	return f.recount()
}

// Calls are the system calls to handle.
func (f *Forks) Calls() []int { return forkCalls }

// Handle refuses what is too much with EAGAIN, as fork(2) does at the kernel's own limits.
func (f *Forks) Handle(n *notify.Notification) supervise.Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.makers[n.Task()]; m != nil {
		m.underway = false
	}
	if !f.room(n) && (f.recount() != nil || !f.room(n) && f.full()) {
		return supervise.Fail(unix.EAGAIN)
	}
	return supervise.Continue()
}

// Perform lets the kernel go on with a call, now or when calls that are under way have made room.
func (f *Forks) Perform(n *notify.Notification) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room(n) && (len(f.waiting) == 0 || isThread(n)) {
		return f.grant(n)
	}
	f.waiting = append(f.waiting, *n)
	if len(f.waiting) == 1 {
		f.serving.Go(f.serve)
	}
	return nil
}

// Close waits for the answers to calls that had to wait. No task of the tree may be left.
func (f *Forks) Close() error {
	f.serving.Wait()
	return f.err
}

// serve answers the calls that wait, while there are any.
func (f *Forks) serve() {
	const pause = time.Millisecond
	for f.settle() {
		time.Sleep(pause)
	}
}

// settle answers those that have waited for longest, as far as it is known what to answer.
func (f *Forks) settle() (more bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = slices.DeleteFunc(f.waiting, func(n notify.Notification) bool { return !n.Valid() })
	if len(f.waiting) == 0 {
		return false
	}
	failed := f.recount()
	for len(f.waiting) > 0 {
		var err error
		switch n := &f.waiting[0]; {
		case failed == nil && f.room(n):
			err = f.grant(n)
		case failed != nil || f.full():
			err = n.Fail(unix.EAGAIN)
		default:
			return true
		}
		if f.err == nil && !errors.Is(err, notify.ErrGone) {
			f.err = err
		}
		f.waiting = f.waiting[1:]
	}
	return false
}

func isThread(n *notify.Notification) bool {
	return n.Syscall() == unix.SYS_CLONE && n.Args()[0]&unix.CLONE_THREAD != 0
}

// room reports whether there may be one more, whatever has become of the calls that were let through.
func (f *Forks) room(n *notify.Notification) bool {
	return f.tasks < f.mostAll && (isThread(n) || f.count < f.most)
}

// full reports, right after a recount, whether there cannot be one more. It may be unknown: neither full, nor room.
func (f *Forks) full() bool {
	return f.tasks >= f.mostAll || len(f.known) >= f.most || len(f.makers) == 0
}

// grant lets the kernel go on. The lock is held until it does: who waits for an answer seems to sleep.
func (f *Forks) grant(n *notify.Notification) error {
	f.tasks++
	if !isThread(n) {
		f.count++
		m := f.makers[n.Task()]
		if m == nil {
			m = &maker{}
			f.makers[n.Task()] = m
		}
		m.children, m.underway, m.since = m.children+1, true, time.Now()
	}
	return n.Continue()
}

// recount looks at the tree.
func (f *Forks) recount() error {
	for task, m := range f.makers {
		// Before the look: what such a task has made can be seen by now.
		if time.Since(m.since) > forkTime || isBack(task) {
			m.underway = false
		}
	}
	found, err := descendants(f.root)
	if err != nil {
		return err
	}
	known := make(map[identity]bool, len(found))
	f.tasks = 0
	for _, p := range found {
		id := p.identity()
		known[id] = true
		f.tasks += max(p.threads, 1) // a zombie has none
		if m := f.makers[p.parent]; m != nil && !f.known[id] {
			m.children--
		}
	}
	f.known = known
	for task, m := range f.makers {
		if m.children <= 0 || !m.underway {
			delete(f.makers, task)
		}
	}
	f.count, f.tasks = len(known)+len(f.makers), f.tasks+len(f.makers)
	return nil
}

// isBack reports whether a task has come back from a fork that it was granted: it is gone, or sleeps. In a fork a task
// runs, or waits for the kernel (D).
func isBack(task int) bool {
	return isGoneOr(task, func(p process) bool { return p.state != 'R' && p.state != 'D' })
}
