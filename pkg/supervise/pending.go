package supervise

import (
	"errors"
	"sync"
	"time"

	"sandlock/pkg/notify"
)

// ErrAnswered says that a notification was answered already, by whoever came first: the time that a decision may take,
// a retirement, or another thread.
var ErrAnswered = errors.New("the notification is answered already")

// A pending notification is with somebody outside of Go. Whoever takes it from the table gives the one answer.
type pending struct {
	notification notify.Notification
	fallback     Action
	stage        int         // who is asked, as the worker counts
	timer        *time.Timer // nil without a limit
	round        int         // how often the time was set: a timer that goes off just then is of the last round
}

// stop ends the time limit, if there is one. The table's lock is held.
func (p *pending) stop() {
	p.round++
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// A table holds the pending notifications by ID.
type table struct {
	mu      sync.Mutex
	pending map[uint64]*pending
	sweepAt int // how many it may hold before those of dead tasks are dropped
	closed  bool
}

// leastSweep is when the table is swept first.
const leastSweep = 1024

// add enters a notification; false says that nobody is there any more to decide.
func (t *table) add(p *pending) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	if t.pending == nil {
		t.pending = make(map[uint64]*pending)
	}
	if len(t.pending) >= max(t.sweepAt, leastSweep) {
		t.sweep()
	}
	t.pending[p.notification.ID()] = p
	return true
}

// sweep drops the notifications whose tasks wait no longer: a child that has its tasks killed while they are held must
// not fill the host's memory. The lock is held.
func (t *table) sweep() {
	for id, p := range t.pending {
		if p.notification.Valid() {
			continue
		}
		p.stop()
		delete(t.pending, id)
	}
	t.sweepAt = 2 * len(t.pending) // so that a sweep costs each entry a constant
}

// take removes a notification for an answer.
func (t *table) take(id uint64) (*pending, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.pending[id]
	if ok {
		delete(t.pending, id)
		p.stop()
	}
	return p, ok
}

// takeLate removes a notification whose time is over, unless it was set anew meanwhile.
func (t *table) takeLate(id uint64, round int) (*pending, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.pending[id]
	if !ok || p.round != round {
		return nil, false
	}
	delete(t.pending, id)
	return p, true
}

// get looks at a notification without taking it.
func (t *table) get(id uint64) (notify.Notification, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p, ok := t.pending[id]; ok {
		return p.notification, true
	}
	return notify.Notification{}, false
}

// drain takes all, and refuses more.
func (t *table) drain() []*pending {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	all := make([]*pending, 0, len(t.pending))
	for _, p := range t.pending {
		p.stop()
		all = append(all, p)
	}
	t.pending = nil
	return all
}

// Pending gives a notification that is with somebody outside of Go. Any thread may ask.
func (s *Supervisor) Pending(id uint64) (notify.Notification, bool) { return s.pending.get(id) }

// Complete answers a pending notification: the one of a worker that has not come back, or one that was held. The zero
// Action stands for the constant action. It gives the number of a descriptor that the task got, or -1. The error is
// ErrAnswered when somebody else came first, and notify.ErrGone when the task no longer waits for a descriptor.
func (s *Supervisor) Complete(id uint64, a Action) (fd int, err error) {
	if a.kind == kindHold {
		return -1, nil // it stays in the table
	}
	p, ok := s.pending.take(id)
	if !ok {
		return -1, ErrAnswered
	}
	if a.kind == kindNone {
		a = p.fallback
	}
	return s.answer(a, &p.notification)
}

// Limit starts the time limit of a pending notification anew, for the next stage of its decision: should the time run
// out, fallback answers. 0 is for ever. False says that it is answered already.
func (s *Supervisor) Limit(id uint64, stage int, timeout time.Duration, fallback Action) bool {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	p, ok := s.pending.pending[id]
	if !ok {
		return false
	}
	p.stop()
	p.stage, p.fallback = stage, fallback
	if timeout > 0 {
		round := p.round
		p.timer = time.AfterFunc(timeout, func() { s.expire(id, round) })
	}
	return true
}

// Held gives the IDs of the pending notifications whose task still waits.
func (s *Supervisor) Held() []uint64 {
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	var ids []uint64
	for id, p := range s.pending.pending {
		if p.notification.Valid() {
			ids = append(ids, id)
		}
	}
	return ids
}

// maxExpired bounds how many expiries are kept: the first ones.
const maxExpired = 1000

// An Expiry is a decision that took too long, at the stage that Limit was told last.
type Expiry struct {
	ID                   uint64
	Syscall, Task, Stage int
}

// expire answers with the constant action when the time for a decision is over.
func (s *Supervisor) expire(id uint64, round int) {
	p, ok := s.pending.takeLate(id, round)
	if !ok {
		return
	}
	n := &p.notification
	s.mu.Lock()
	if len(s.expired) < maxExpired {
		s.expired = append(s.expired, Expiry{ID: id, Syscall: n.Syscall(), Task: n.Task(), Stage: p.stage})
	} else {
		s.moreExpired++
	}
	s.mu.Unlock()
	s.give(p.fallback, n)
}
