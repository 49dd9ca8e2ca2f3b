package supervise

import (
	"slices"
	"sync"
	"sync/atomic"

	"sandlock/pkg/notify"
)

// A leadership sees to it that there is always one who receives: a worker, or the reserve when all workers are away
// with decisions. What the reserve has received waits for the next worker that is free. A call that was received is no
// longer interrupted by signals (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV), so receiving must not wait for deciding.
type leadership struct {
	reserve  func() // receives until it has handed the listener to a worker; run in a goroutine
	running  sync.WaitGroup
	watchdog *watchdog

	leader atomic.Pointer[Worker] // nil while the reserve leads, or nobody

	mu      sync.Mutex
	idle    []*Worker             // wait for something to do, the longest first; only while the backlog is empty
	backlog []notify.Notification // received, and no worker was free; the oldest first
	sweepAt int                   // how many of these there may be before those of dead tasks are dropped
	vacant  bool                  // nobody leads
	retired bool                  // workers go home, the reserve stays
	ended   bool                  // everybody goes home

	armed atomic.Bool // the watchdog looks at it
	trip  uint64      // what the leader's trips counted at the last tick
}

// The roles of a worker.
const (
	following int32 = iota
	leading         // receiving, or deciding in Go
	away            // leading still, but with a decision outside of Go
)

// A duty is what a worker does next.
type duty struct {
	home         bool                 // nothing: there will be no more
	notification *notify.Notification // decide about it, instead of receiving one
}

func newLeadership(reserve func()) *leadership {
	return &leadership{reserve: reserve, watchdog: theWatchdog(), vacant: true}
}

// await gives a worker its next duty, when there is one.
func (l *leadership) await(w *Worker) duty {
	if w.role.CompareAndSwap(away, leading) || w.role.Load() == leading {
		return duty{} // nobody has taken over meanwhile
	}
	l.mu.Lock()
	switch {
	case l.ended || l.retired:
		l.mu.Unlock()
		return duty{home: true}
	case len(l.backlog) > 0:
		oldest := l.backlog[0]
		l.backlog = l.backlog[1:]
		w.last = true // nobody is idle while there is a backlog
		l.mu.Unlock()
		return duty{notification: &oldest}
	case l.vacant:
		l.vacant = false
		l.promote(w)
		w.last = len(l.idle) == 0
		l.mu.Unlock()
		return duty{}
	}
	l.idle = append(l.idle, w)
	l.mu.Unlock()
	return <-w.duty
}

// promote makes a worker the leader; the lock is held.
func (l *leadership) promote(w *Worker) {
	w.role.Store(leading)
	l.leader.Store(w)
	l.trip = w.trips.Load() - 1 // each worker counts its own; this one has just come
}

// callIdle makes the worker that has waited longest the leader and gives it a duty; the lock is held. False: all are
// away.
func (l *leadership) callIdle(d duty) bool {
	if len(l.idle) == 0 {
		return false
	}
	w := l.idle[0]
	l.idle = l.idle[1:]
	w.last = len(l.idle) == 0
	l.promote(w)
	w.duty <- d
	return true
}

// leave marks a worker as away with a decision, under the watchdog's eyes if it leads.
func (l *leadership) leave(w *Worker) {
	if w.role.Load() != leading {
		return
	}
	w.trips.Add(1)
	w.role.Store(away)
	l.arm()
}

func (l *leadership) arm() {
	if l.armed.CompareAndSwap(false, true) {
		l.watchdog.watch(l)
	}
}

// tick takes the listener from a leader that has been away since the last tick. It tells how often the leader has left
// meanwhile, and whether it is to be watched further: while it comes and goes, so that a busy leader need not arm the
// watchdog anew, and not when it stays.
func (l *leadership) tick() (trips uint64, further bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.retired {
		return 0, false
	}
	if w := l.leader.Load(); w != nil {
		if trip := w.trips.Load(); trip != l.trip {
			trips, l.trip = trip-l.trip, trip
			return trips, true
		}
		if w.role.CompareAndSwap(away, following) && !l.callIdle(duty{}) {
			l.callReserve()
		}
	}
	l.armed.Store(false)
	w := l.leader.Load() // it may have left after the look and before the store
	return 0, w != nil && w.role.Load() == away && l.armed.CompareAndSwap(false, true)
}

// callReserve lets the reserve lead; the lock is held.
func (l *leadership) callReserve() {
	l.leader.Store(nil)
	l.running.Go(l.reserve)
}

// deliver is the reserve's: it hands a notification to a worker, and the listener with it, or keeps the notification.
// It reports whether the reserve goes on receiving.
func (l *leadership) deliver(n notify.Notification) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.callIdle(duty{notification: &n}) {
		return false
	}
	if len(l.backlog) >= max(l.sweepAt, leastSweep) { // as in the table of what is pending
		l.backlog = slices.DeleteFunc(l.backlog, func(n notify.Notification) bool { return !n.Valid() })
		l.sweepAt = 2 * len(l.backlog)
	}
	l.backlog = append(l.backlog, n)
	return true
}

// abdicate lets somebody else receive: the goroutine of who does ends.
func (l *leadership) abdicate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.leader.Load(); w != nil {
		w.role.Store(following)
	}
	if !l.ended && !l.callIdle(duty{}) {
		l.callReserve()
	}
}

// retire sends every worker home and leaves the listener to the reserve. A leader that is receiving must be interrupted
// afterwards, and learns from relieved that it goes home, too.
func (l *leadership) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.retired {
		return
	}
	l.retired = true
	l.sendHome()
	l.backlog = nil
	if w := l.leader.Load(); l.vacant || w != nil && w.role.CompareAndSwap(away, following) {
		l.vacant = false
		l.callReserve()
	}
}

// relieved reports whether an interrupted leader goes home, and lets the reserve take its place then.
func (l *leadership) relieved(w *Worker) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.retired {
		return false
	}
	w.role.Store(following)
	if !l.ended {
		l.callReserve()
	}
	return true
}

// finish sends everybody home. It does not wait: see close.
func (l *leadership) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.sendHome()
}

func (l *leadership) sendHome() {
	for _, w := range l.idle {
		w.duty <- duty{home: true}
	}
	l.idle = nil
}

// close waits for the reserve, after finish and the listener's shutdown.
func (l *leadership) close() { l.running.Wait() }
