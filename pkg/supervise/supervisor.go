package supervise

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

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

// A Performer performs a system call in the kernel's place, where an answer would let the kernel go on with it.
type Performer interface {
	// Perform answers the notification, now or, with a copy of it, later.
	Perform(*notify.Notification) error
}

// A Chain says who answers one system call: the first answer that is not Continue wins.
type Chain struct {
	Handlers []Handler
	// Performer performs the call that is to be continued; the kernel where there is none.
	Performer Performer
	// Pulled hands what the handlers have not answered to a worker.
	Pulled bool
	// Fallback is the constant action of a pulled chain: it answers where a worker does not, for whatever reason.
	Fallback Action
	// Timeout is how long a worker may take before Fallback answers; 0 is for ever.
	Timeout time.Duration
}

// fallback is the constant action; where none is named, the strictest.
func (c *Chain) fallback() Action {
	if c.Fallback.kind == kindNone {
		return Kill(unix.SIGKILL, 0)
	}
	return c.Fallback
}

// A Supervisor answers the notifications of one listener.
type Supervisor struct {
	listener   *notify.Listener
	chains     map[int]*Chain
	root       int
	kill       func() error
	leadership *leadership
	pending    table
	killed     atomic.Bool

	calls sync.RWMutex // held for reading by each call of Next, so that Close can wait for them

	mu          sync.Mutex
	errs        []error
	expired     []Expiry
	moreExpired int
}

// New makes the supervisor of a listener, which it owns. The chains are by system call number; the descendants of the
// process root are the sandbox's, and kill ends it: where calls cannot be received, and where an answer that is to kill
// cannot be carried out.
func New(listener *notify.Listener, chains map[int]Chain, root int, kill func() error) *Supervisor {
	s := &Supervisor{listener: listener, chains: make(map[int]*Chain, len(chains)), root: root, kill: kill}
	for number, chain := range chains {
		s.chains[number] = &chain
	}
	s.leadership = newLeadership(s.receiveInReserve)
	return s
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

// judge lets the handlers in Go decide. What is left for a worker is entered as pending: undecided is true then.
func (s *Supervisor) judge(n *notify.Notification) (undecided bool) {
	chain, ok := s.chains[n.Syscall()]
	if !ok {
		// The filter and the chains come from the same registrations; if they ever disagree, nobody decided.
		s.give(Fail(unix.ENOSYS), n)
		return false
	}
	action := s.decide(chain, n)
	switch {
	case action.kind == kindHold:
		s.enter(n, chain)
		return false
	case action.IsContinue() && chain.Pulled:
		return s.enter(n, chain)
	}
	s.give(action, n)
	return false
}

// enter makes a notification pending. Where nobody is there any more to decide, the constant action answers: false.
func (s *Supervisor) enter(n *notify.Notification, chain *Chain) bool {
	if !s.pending.add(&pending{notification: *n, fallback: chain.fallback()}) {
		s.give(chain.fallback(), n)
		return false
	}
	if chain.Timeout > 0 {
		s.Limit(n.ID(), 0, chain.Timeout, chain.fallback()) // only now: a timer that goes off before would find nothing
	}
	return true
}

// decide asks the handlers. Where one panics, or ends its goroutine, the constant action answers.
func (s *Supervisor) decide(c *Chain, n *notify.Notification) (action Action) {
	if len(c.Handlers) == 0 {
		return Continue()
	}
	decided := false
	defer func() {
		if decided {
			return
		}
		action = c.fallback()
		if problem := recover(); problem != nil {
			s.note(fmt.Errorf("a handler of system call %d panicked: %v", n.Syscall(), problem))
			return
		}
		// runtime.Goexit: nobody will give the action, nor receive after that.
		s.note(fmt.Errorf("a handler of system call %d ended its goroutine", n.Syscall()))
		s.give(action, n)
		s.leadership.abdicate()
	}()
	for _, h := range c.Handlers {
		if action = h.Handle(n); !action.IsContinue() {
			decided = true
			return action
		}
	}
	decided = true
	return Continue()
}

// receiveInReserve receives while no worker does.
func (s *Supervisor) receiveInReserve() {
	runtime.LockOSThread() // the kernel's wake-up hands its CPU to the thread that waits
	defer runtime.UnlockOSThread()
	var n notify.Notification
	for {
		err := s.listener.Receive(&n)
		switch {
		case errors.Is(err, notify.ErrInterrupted):
		case err != nil:
			s.end(err)
			return
		case s.judge(&n) && !s.leadership.deliver(n):
			return
		}
	}
}

// end sends the workers home when there is nothing more to receive.
func (s *Supervisor) end(err error) {
	if !errors.Is(err, notify.ErrEnded) {
		s.note(errors.Join(err, s.kill()))
	}
	s.leadership.finish()
}

// Serve answers until the end, for a supervisor without pulled chains.
func (s *Supervisor) Serve() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.Next(s.NewWorker())
}

// Abandon answers in the place of all workers from now on, with the constant actions: what is pending at once, what
// comes as it comes. Calls of Next return nil.
func (s *Supervisor) Abandon() error {
	left := s.pending.drain()
	s.leadership.retire()
	err := s.listener.Interrupt()
	for _, p := range left {
		s.give(p.fallback, &p.notification)
	}
	return err
}

// Shutdown ends every call of Next, now and from now on, except those of workers that are away with a decision: they
// learn it when they come back.
func (s *Supervisor) Shutdown() error {
	err := s.listener.Shutdown()
	s.leadership.finish()
	return err
}

// Close shuts down, waits for the calls of Next to return, and frees the listener. It gives the errors that answers ran into.
func (s *Supervisor) Close() error {
	err := s.Shutdown()
	s.leadership.close()
	s.calls.Lock()
	defer s.calls.Unlock()
	s.pending.drain()
	err = errors.Join(err, s.listener.Close())
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(append(s.errs, err)...)
}

// Expired gives the decisions that took too long, the first maxExpired of them.
func (s *Supervisor) Expired() []Expiry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expired
}

// MoreExpired is how many took too long after those that Expired gives.
func (s *Supervisor) MoreExpired() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moreExpired
}

// Killed reports whether an answer was to kill.
func (s *Supervisor) Killed() bool { return s.killed.Load() }

// give answers when nobody is there to hear of an error.
func (s *Supervisor) give(a Action, n *notify.Notification) {
	if _, err := s.answer(a, n); err != nil && !errors.Is(err, notify.ErrGone) {
		s.note(err)
	}
}

func (s *Supervisor) answer(a Action, n *notify.Notification) (fd int, err error) {
	if a.isKill() {
		s.killed.Store(true)
	}
	proceed := n.Continue
	if chain, ok := s.chains[n.Syscall()]; ok && chain.Performer != nil {
		proceed = func() error { return chain.Performer.Perform(n) }
	}
	fd, err = a.apply(n, s.root, proceed)
	if errors.Is(err, errLivesOn) {
		err = errors.Join(err, s.kill())
	}
	return fd, err
}

// maxNoted bounds what a child can make the supervisor remember.
const maxNoted = 100

func (s *Supervisor) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) < maxNoted {
		s.errs = append(s.errs, fmt.Errorf("supervise: %w", err))
	}
}
