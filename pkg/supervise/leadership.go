package supervise

import (
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long the leader may be away with a decision before another worker takes the listener over. Handing
// the listener over at once makes two threads alternate, which costs four times as much as one thread that keeps it.
const patience = 200 * time.Microsecond

// A leadership sees to it that one worker at a time receives.
type leadership struct {
	token chan struct{} // holds one element while there is no leader
	ended chan struct{} // closed when nobody leads any more
	end   sync.Once

	leader  atomic.Pointer[Worker]
	workers atomic.Int32

	watchdog struct {
		sync.Mutex
		timer *time.Timer
		armed atomic.Bool
		trip  uint64 // what the leader's trips counted at the last tick
	}
}

// The roles of a worker.
const (
	following int32 = iota
	leading         // receiving, or deciding in Go
	away            // leading still, but with a decision outside of Go
)

func newLeadership() *leadership {
	l := &leadership{token: make(chan struct{}, 1), ended: make(chan struct{})}
	l.token <- struct{}{}
	l.watchdog.timer = time.AfterFunc(time.Hour, l.tick)
	l.watchdog.timer.Stop()
	return l
}

// acquire waits until the worker leads; false says that it never will.
func (l *leadership) acquire(w *Worker) bool {
	if w.role.CompareAndSwap(away, leading) {
		return true // nobody has taken over meanwhile
	}
	if w.role.Load() == leading {
		return true
	}
	select {
	case <-l.ended:
		return false
	case <-l.token:
		w.role.Store(leading)
		l.leader.Store(w)
		return true
	}
}

// leave marks the leader as away with a decision, under the watchdog's eyes if there is somebody to take over.
func (l *leadership) leave(w *Worker) {
	w.trips.Add(1)
	w.role.Store(away)
	if l.workers.Load() > 1 {
		l.arm()
	}
}

func (l *leadership) arm() {
	if l.watchdog.armed.CompareAndSwap(false, true) {
		l.watchdog.timer.Reset(patience)
	}
}

// tick takes the listener from a leader that has been away since the last tick. It ticks on while the leader comes and
// goes, so that a busy leader need not wake it, and stops when the leader stays.
func (l *leadership) tick() {
	l.watchdog.Lock()
	defer l.watchdog.Unlock()
	select {
	case <-l.ended:
		return
	default:
	}
	w := l.leader.Load()
	trip := w.trips.Load()
	if trip != l.watchdog.trip {
		l.watchdog.trip = trip
		l.watchdog.timer.Reset(patience)
		return
	}
	if w.role.CompareAndSwap(away, following) {
		l.token <- struct{}{}
	}
	l.watchdog.armed.Store(false)
	if l.leader.Load().role.Load() == away { // it left after the look and before the store
		l.arm()
	}
}

// finish sends every worker home.
func (l *leadership) finish() {
	l.end.Do(func() { close(l.ended) })
	l.watchdog.Lock() // a tick under way is over after this, and none comes
	defer l.watchdog.Unlock()
	l.watchdog.timer.Stop()
}
