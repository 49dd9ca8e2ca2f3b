package core

import (
	"errors"
	"sync/atomic"
	"time"
)

// starting orders the start of a run and what other threads do with it meanwhile: they know it before it has started.
type starting struct {
	entered atomic.Bool
	killed  atomic.Bool
	over    chan struct{} // closed when Start has done what it does
}

func newStarting() starting { return starting{over: make(chan struct{})} }

// enter is called by Start, which may start the run unless somebody has killed it.
func (s *starting) enter() (mayStart bool, err error) {
	if !s.entered.CompareAndSwap(false, true) {
		return false, errors.New("the run was started before")
	}
	return !s.killed.Load(), nil
}

func (s *starting) leave() { close(s.over) }

// never reports whether the run was killed before it could start.
func (s *starting) never() bool { return s.killed.Load() && !s.entered.Load() }

// awaited waits a moment for Start to return, and reports whether it has. The moment is short for a caller whose
// signals wait meanwhile.
func (s *starting) awaited() bool {
	select {
	case <-s.over: // without a timer, as a rule
		return true
	default:
	}
	select {
	case <-s.over:
		return true
	case <-time.After(20 * time.Millisecond):
		return false
	}
}
