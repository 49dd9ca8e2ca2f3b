package deputy

import (
	"errors"

	"golang.org/x/sys/unix"
)

// maxWaits bounds how many FIFOs may be waited for at once: the other threads stay free for calls that end.
const maxWaits = maxThreads / 2

// A waiting call opens a FIFO, whose other end nobody has open yet.
type waiting struct {
	fifo   int // a descriptor of ours, not open for use
	how    unix.OpenHow
	caller caller
}

// openFIFO opens a FIFO if that takes no wait. It takes over the descriptor.
func (r *request) openFIFO(fifo int, how unix.OpenHow) Result {
	if how.Flags&unix.O_ACCMODE == unix.O_WRONLY {
		nonblocking := how
		nonblocking.Flags |= unix.O_NONBLOCK
		fd, err := reopen(fifo, nonblocking)
		if !errors.Is(err, unix.ENXIO) {
			unix.Close(fifo)
			if err == nil {
				err = unix.SetNonblock(fd, false)
			}
			return opened(fd, how, err)
		}
	}
	return Result{FD: -1, waiting: &waiting{fifo: fifo, how: how, caller: r.caller}}
}

// Waits reports whether the call opens a FIFO and waits for the other end. Await must be called then, and what the
// task gets is not known yet.
func (r Result) Waits() bool { return r.waiting != nil }

// Await performs the rest of a call that waits, and hands over the result when it is there, on another thread. With the
// end of the deputy the wait is over, whatever the result.
func (d *Deputy) Await(r Result, done func(Result)) {
	w := r.waiting
	err := d.send(job{func(t *thread) Result { return d.wait(t, w) }, done})
	if err != nil {
		unix.Close(w.fifo)
		done(failed(err))
	}
}

func (d *Deputy) wait(t *thread, w *waiting) Result {
	defer unix.Close(w.fifo)
	if err := d.beginWait(t, w.fifo); err != nil {
		return failed(err)
	}
	defer d.endWait(t)
	restore, err := assume(w.caller)
	if err != nil {
		return failed(err)
	}
	defer restore()
	fd, err := reopen(w.fifo, w.how)
	return opened(fd, w.how, err)
}

// beginWait enters a FIFO that a thread is about to wait for.
func (d *Deputy) beginWait(t *thread, fifo int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return unix.EINTR
	}
	waits := 0
	for _, other := range d.threads {
		if other.fifo >= 0 {
			waits++
		}
	}
	if waits >= maxWaits {
		return unix.EAGAIN
	}
	t.fifo = fifo
	return nil
}

func (d *Deputy) endWait(t *thread) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.fifo = -1
}

// openBothEnds ends every wait for a FIFO. Who made it may have taken our rights to it since; where the file is our own
// we take them back for a moment.
func openBothEnds(fifo int) (int, error) {
	how := unix.OpenHow{Flags: unix.O_RDWR | unix.O_NONBLOCK}
	fd, err := reopen(fifo, how)
	if !errors.Is(err, unix.EACCES) {
		return fd, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fifo, &st); err != nil {
		return -1, err
	}
	if err := unix.Chmod(ownLink(fifo), 0o600); err != nil {
		return -1, err
	}
	defer unix.Chmod(ownLink(fifo), st.Mode&0o7777)
	return reopen(fifo, how)
}
