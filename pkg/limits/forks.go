package limits

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// Forks keeps a tree from having more processes than it may. It handles the calls that make processes: whatever decides
// is in registers, so that the kernel may go on with a call that was judged.
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
	thread := n.Syscall() == unix.SYS_CLONE && n.Args()[0]&unix.CLONE_THREAD != 0
	m := f.makers[n.Task()]
	if m != nil {
		m.underway = false
	}
	if !f.room(thread) {
		return supervise.Fail(unix.EAGAIN)
	}
	f.tasks++
	if thread {
		return supervise.Continue()
	}
	f.count++
	if m = f.makers[n.Task()]; m == nil {
		m = &maker{}
		f.makers[n.Task()] = m
	}
	m.children, m.underway, m.since = m.children+1, true, time.Now()
	return supervise.Continue()
}

// room finds out whether there may be one more. It counts only when it must, and waits for calls that are under way.
func (f *Forks) room(thread bool) bool {
	const pause = time.Millisecond
	for counted := false; ; counted = true {
		if f.tasks < f.mostAll && (thread || f.count < f.most) {
			return true
		}
		if counted && (f.tasks >= f.mostAll || len(f.known) >= f.most || len(f.makers) == 0) {
			return false
		}
		if counted {
			time.Sleep(pause)
		}
		if f.recount() != nil {
			return false
		}
	}
}

// recount looks at the tree.
func (f *Forks) recount() error {
	for task, m := range f.makers {
		// Before the look: what such a task has made can be seen by now.
		if time.Since(m.since) > forkTime || errors.Is(unix.Kill(task, 0), unix.ESRCH) {
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
