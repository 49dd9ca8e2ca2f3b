package supervise

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// A Handler decides in Go about one notification, on the thread that received it. It may be called concurrently.
type Handler interface {
	Handle(*notify.Notification) Action
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(*notify.Notification) Action

// Handle calls f.
func (f HandlerFunc) Handle(n *notify.Notification) Action { return f(n) }

// A Chain says who answers one system call: the first answer that is not Continue wins.
type Chain struct {
	Handlers []Handler
	// Pulled hands what the handlers have not answered to the worker that received it.
	Pulled bool
	// Fallback answers for a worker that does not, for whatever reason.
	Fallback Action
}

// A Supervisor answers the notifications of one listener.
type Supervisor struct {
	listener   *notify.Listener
	chains     map[int]Chain
	root       int
	leadership *leadership

	killed atomic.Bool

	calls sync.RWMutex // held for reading by each call of Next, so that Close can wait for them

	mu   sync.Mutex
	errs []error
}

// New makes the supervisor of a listener, which it owns. The chains are by system call number; root is the process
// whose descendants are the sandbox's.
func New(listener *notify.Listener, chains map[int]Chain, root int) *Supervisor {
	return &Supervisor{listener: listener, chains: chains, root: root, leadership: newLeadership()}
}

// Pulled reports whether some chain needs workers.
func (s *Supervisor) Pulled() bool {
	for _, chain := range s.chains {
		if chain.Pulled {
			return true
		}
	}
	return false
}

// A Worker is one thread's place with a supervisor.
type Worker struct {
	notification notify.Notification // the thread's own
	undecided    bool                // the notification is with the worker
	fallback     Action
	answer       Action
	answered     bool

	mu      sync.Mutex
	pending notify.Notification // a copy for other threads; the zero value when there is none

	role  atomic.Int32
	trips atomic.Uint64
}

// NewWorker gives a thread a place.
func (s *Supervisor) NewWorker() *Worker {
	s.leadership.workers.Add(1)
	return &Worker{}
}

// Pending gives the notification with that ID, if it is with the worker. Any thread may ask.
func (w *Worker) Pending(id uint64) (notify.Notification, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending, id != 0 && w.pending.ID() == id
}

func (w *Worker) setPending(n notify.Notification) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = n
}

// Answer sets what Next answers; without it, Next answers with the chain's Fallback.
func (w *Worker) Answer(a Action) { w.answer, w.answered = a, true }

// Next answers the worker's notification, if it has one, and waits for the next one that it has to decide. It returns
// nil when there will be none. Between two calls that return a notification the worker's thread should not change.
func (s *Supervisor) Next(w *Worker) *notify.Notification {
	s.calls.RLock()
	defer s.calls.RUnlock()
	s.settle(w)
	for s.leadership.acquire(w) {
		if err := s.listener.Receive(&w.notification); err != nil {
			if !errors.Is(err, notify.ErrEnded) {
				s.note(err)
			}
			s.leadership.finish()
			break
		}
		n := &w.notification
		chain, ok := s.chains[n.Syscall()]
		if !ok {
			// The filter and the chains come from the same registrations; if they ever disagree, nobody decided.
			chain = Chain{Fallback: Fail(unix.ENOSYS)}
		}
		action := chain.decide(n)
		if action.IsContinue() && chain.Pulled {
			w.undecided, w.answered, w.fallback = true, false, chain.Fallback
			w.setPending(*n)
			s.leadership.leave(w)
			return n
		}
		s.apply(action, n)
	}
	return nil
}

// settle answers what the worker came back with.
func (s *Supervisor) settle(w *Worker) {
	if !w.undecided {
		return
	}
	w.undecided = false
	w.setPending(notify.Notification{})
	action := w.fallback
	if w.answered {
		action = w.answer
	}
	s.apply(action, &w.notification)
}

func (s *Supervisor) apply(a Action, n *notify.Notification) {
	if a.isKill() {
		s.killed.Store(true)
	}
	if err := a.apply(n, s.root); err != nil {
		s.note(err)
	}
}

// Killed reports whether an answer was to kill.
func (s *Supervisor) Killed() bool { return s.killed.Load() }

func (c Chain) decide(n *notify.Notification) (action Action) {
	if len(c.Handlers) == 0 && !c.Pulled {
		return c.Fallback
	}
	defer func() {
		if problem := recover(); problem != nil {
			action = Kill(unix.SIGKILL, 0)
		}
	}()
	for _, h := range c.Handlers {
		if action = h.Handle(n); !action.IsContinue() {
			return action
		}
	}
	return Continue()
}

// Serve answers until the end, for a supervisor without pulled chains.
func (s *Supervisor) Serve() {
	runtime.LockOSThread() // the kernel's wake-up hands its CPU to the thread that waits
	defer runtime.UnlockOSThread()
	s.Next(s.NewWorker())
}

// Shutdown ends every call of Next, now and from now on, except those of workers that are away with a decision: they
// learn it when they come back.
func (s *Supervisor) Shutdown() error {
	err := s.listener.Shutdown()
	s.leadership.finish()
	return err
}

// Close shuts down, waits for the calls of Next that are under way, and frees the listener. It gives the errors that
// answers ran into.
func (s *Supervisor) Close() error {
	err := s.Shutdown()
	s.calls.Lock()
	defer s.calls.Unlock()
	err = errors.Join(err, s.listener.Close())
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(s.errs, err)...)
}

// maxErrors bounds what a child can make the supervisor remember.
const maxErrors = 100

func (s *Supervisor) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) < maxErrors {
		s.errs = append(s.errs, fmt.Errorf("supervise: %w", err))
	}
}
