package supervise

import (
	"errors"
	"sync/atomic"

	"sandlock/pkg/notify"
)

// A Worker is one thread's place with a supervisor. All its methods are that thread's.
type Worker struct {
	notification notify.Notification
	undecided    bool // the notification is the worker's to answer
	answer       Action

	duty  chan duty
	last  bool
	role  atomic.Int32
	trips atomic.Uint64
}

// NewWorker gives a thread a place.
func (s *Supervisor) NewWorker() *Worker { return &Worker{duty: make(chan duty, 1)} }

// Answer sets what Next answers. Without it, Next answers with the chain's Fallback.
func (w *Worker) Answer(a Action) { w.answer = a }

// Last reports, once, that this worker was the last one that waited: while it is away with a decision, another may be
// wanted.
func (w *Worker) Last() bool {
	last := w.last
	w.last = false
	return last
}

// Next answers the worker's notification, if it has one, and waits for the next one that it has to decide. It returns
// nil when there will be none. The worker's thread should always be the same.
func (s *Supervisor) Next(w *Worker) *notify.Notification {
	if _, err := s.Settle(w); err != nil && !errors.Is(err, ErrAnswered) && !errors.Is(err, notify.ErrGone) {
		s.note(err)
	}
	s.calls.RLock()
	defer s.calls.RUnlock()
	for {
		duty := s.leadership.await(w)
		switch {
		case duty.home:
			return nil
		case duty.notification != nil:
			w.notification = *duty.notification
			if _, waits := s.pending.get(w.notification.ID()); !waits {
				continue // its time was over before a worker was free
			}
		default:
			err := s.listener.Receive(&w.notification)
			if errors.Is(err, notify.ErrInterrupted) {
				if s.leadership.relieved(w) {
					return nil
				}
				continue
			}
			if err != nil {
				s.end(err)
				return nil
			}
			if !s.judge(&w.notification) {
				continue
			}
		}
		w.undecided, w.answer = true, Action{}
		s.leadership.leave(w)
		return &w.notification
	}
}

// Settle answers the worker's notification, if it has one, before Next would: to learn the number of a descriptor that
// the task got, or what went wrong. The errors are those of Complete.
func (s *Supervisor) Settle(w *Worker) (fd int, err error) {
	if !w.undecided {
		return -1, nil
	}
	w.undecided = false
	return s.Complete(w.notification.ID(), w.answer)
}

// Detach frees the worker of its notification, which stays pending until Complete answers.
func (w *Worker) Detach() { w.undecided = false }
