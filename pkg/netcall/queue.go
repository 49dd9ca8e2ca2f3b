package netcall

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// tick is how often the waits are looked after while there are any: for a signal to the task, its death, or the end of
// its time. The kernel tells of none of these.
const tick = 20 * time.Millisecond

// maxWaiting bounds the calls that wait at a time. Each of them holds a descriptor: together they hold no more than a
// quarter of those that we may have.
const maxWaiting = 1000

func mostWaiting() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return maxWaiting
	}
	return int(min(maxWaiting, limit.Cur/4))
}

// maxDoubts is for how many ticks in a row a signal is left to other threads that could take it: they may all be waiting
// here, too.
const maxDoubts = 50

// maxPause bounds for how many ticks a call is left alone whose socket seems ready and is not: nothing tells when a Unix
// socket has room for one more connection.
const maxPause = 15

// errRestart is the kernel's ERESTARTSYS: the call is made anew after a signal handler that wants it so, and else fails
// with EINTR. The kernel must find a signal when it sees it, or else the task does.
const errRestart = unix.Errno(512)

// errTimeout says that SO_SNDTIMEO is over.
var errTimeout = errors.New("the time to send is over")

// A queue has the calls that wait for their sockets. One goroutine waits for all of them.
type queue struct {
	mu     sync.Mutex
	fresh  []*call
	count  int
	wakeup int // an eventfd, once there was a call
	done   chan struct{}
	closed bool
	errs   []error // of calls that nobody else hears of
}

// maxNoted bounds what a child can make the queue remember.
const maxNoted = 100

func (q *queue) note(err error) {
	if err == nil || errors.Is(err, notify.ErrGone) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.errs) < maxNoted {
		q.errs = append(q.errs, fmt.Errorf("go on with a call that has waited: %w", err))
	}
}

// add lets a call wait.
func (q *queue) add(p *Performer, c *call) error {
	if c.patience > 0 {
		c.deadline = time.Now().Add(c.patience)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return errors.New("a call came after the end")
	case q.count >= mostWaiting():
		return fmt.Errorf("%d calls wait for their sockets already", q.count)
	case q.done == nil:
		var err error
		if q.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
			return fmt.Errorf("make an eventfd: %w", err)
		}
		q.done = make(chan struct{})
		go q.serve(p)
	}
	q.fresh = append(q.fresh, c)
	q.count++
	return q.wake()
}

func (q *queue) wake() error {
	one := [8]byte{1}
	_, err := unix.Write(q.wakeup, one[:])
	return err
}

// close ends the waits, and gives the errors that answers ran into.
func (q *queue) close() error {
	q.mu.Lock()
	q.closed = true
	running := q.done != nil
	if running {
		q.wake() // fails only when it is to be read anyway
	}
	q.mu.Unlock()
	if running {
		<-q.done
		unix.Close(q.wakeup)
	}
	return errors.Join(q.errs...)
}

// serve waits for sockets, and goes on with their calls.
func (q *queue) serve(p *Performer) {
	defer close(q.done)
	var calls []*call
	lastTick := time.Now()
	for {
		q.mu.Lock()
		calls, q.fresh = append(calls, q.fresh...), nil
		closed := q.closed
		q.mu.Unlock()
		if closed {
			for _, c := range calls {
				c.close()
			}
			return
		}
		ready := q.poll(calls)
		ticked := time.Since(lastTick) >= tick
		if ticked {
			lastTick = time.Now()
		}
		i := -1
		before := len(calls)
		calls = slices.DeleteFunc(calls, func(c *call) bool {
			i++
			over := ready[i] && c.proceed(p) || ticked && c.look()
			if over {
				c.close()
			}
			return over
		})
		q.mu.Lock()
		q.count -= before - len(calls)
		q.mu.Unlock()
	}
}

// poll waits until a socket is ready, something happens to the queue, or the next tick, if there are calls.
func (q *queue) poll(calls []*call) (ready []bool) {
	watched := make([]unix.PollFd, len(calls), len(calls)+1)
	for i, c := range calls {
		watched[i] = unix.PollFd{Fd: int32(c.socket.fd), Events: unix.POLLOUT}
		if c.rest > 0 {
			watched[i].Fd = -1
		}
	}
	watched = append(watched, unix.PollFd{Fd: int32(q.wakeup), Events: unix.POLLIN})
	patience := -1
	if len(calls) > 0 {
		patience = int(tick / time.Millisecond)
	}
	ready = make([]bool, len(calls))
	if _, err := unix.Poll(watched, patience); err != nil {
		if !errors.Is(err, unix.EINTR) {
			time.Sleep(tick) // no memory now
		}
		return ready
	}
	for i := range calls {
		ready[i] = watched[i].Revents != 0
	}
	if watched[len(calls)].Revents != 0 {
		var count [8]byte
		unix.Read(q.wakeup, count[:])
	}
	return ready
}

// proceed tries a call again, and reports whether it is over.
func (c *call) proceed(p *Performer) bool {
	if !c.n.Valid() {
		return true
	}
	c.moved = false
	over, err := p.attempt(c)
	p.queue.note(err)
	c.pause = min(2*c.pause+1, maxPause)
	if c.moved {
		c.pause = 0
	}
	c.rest = c.pause
	return over || err != nil
}

// look ends a wait that is to end: with the task, with its time, or by a signal.
func (c *call) look() (over bool) {
	c.rest = max(c.rest-1, 0)
	if !c.n.Valid() {
		return true
	}
	if !c.deadline.IsZero() && time.Now().After(c.deadline) {
		c.queue.note(c.answer(c.cutShort(c, errTimeout)))
		return true
	}
	certain, possible := c.n.Signalled()
	c.doubts++
	if !possible {
		c.doubts = 0
	}
	switch {
	case certain && c.patience == 0:
		c.queue.note(c.answer(c.cutShort(c, errRestart)))
	case certain || c.doubts >= maxDoubts:
		c.queue.note(c.answer(c.cutShort(c, unix.EINTR)))
	default:
		return false
	}
	return true
}
