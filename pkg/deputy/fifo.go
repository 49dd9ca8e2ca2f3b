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
	valid  func() bool // whether the task still waits
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
	return Result{FD: -1, waiting: &waiting{fifo: fifo, how: how, caller: r.caller, valid: r.Valid}}
}

// Waits reports whether the call opens a FIFO and waits for the other end. Await must be called then, and what the
// task gets is not known yet.
func (r Result) Waits() bool { return r.waiting != nil }

// Await performs the rest of a call that waits, and hands over the result when it is there, on another thread. With the
// end of the deputy the wait is over, whatever the result.
func (d *Deputy) Await(r Result, done func(Result)) {
	w := r.waiting
	d.releaseDead()
	err := d.send(job{func(t *thread) Result { return d.wait(t, w) }, done})
	if err != nil {
		unix.Close(w.fifo)
		done(failed(err))
	}
}

func (d *Deputy) wait(t *thread, w *waiting) Result {
	defer unix.Close(w.fifo)
	if err := d.beginWait(t, w); err != nil {
		return failed(err)
	}
	defer d.finishWait(t)
	restore, err := assume(w.caller)
	if err != nil {
		return failed(err)
	}
	defer restore()
	fd, err := reopen(w.fifo, w.how)
	return opened(fd, w.how, err)
}

// beginWait enters what a thread is about to wait for.
func (d *Deputy) beginWait(t *thread, w *waiting) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return unix.EINTR
	}
	waits := 0
	for _, other := range d.threads {
		if other.wait != nil && other.end < 0 {
			waits++
		}
	}
	if waits >= maxWaits {
		return unix.EAGAIN
	}
	t.wait = w
	return nil
}

func (d *Deputy) finishWait(t *thread) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.wait = nil
	if t.end >= 0 {
		unix.Close(t.end)
		t.end = -1
	}
}

// releaseDead ends the waits of tasks that wait no longer, which would keep threads from others. The calling thread is
// outside of the domain. Who waits for the same FIFO would be woken as well: then the dead wait on with them.
func (d *Deputy) releaseDead() {
	d.mu.Lock()
	defer d.mu.Unlock()
	var dead []*thread
	awaited := make(map[fileID]bool)
	for _, t := range d.threads {
		switch {
		case t.wait == nil || t.end >= 0:
		case t.wait.valid():
			awaited[idOf(t.wait.fifo)] = true
		default:
			dead = append(dead, t)
		}
	}
	for _, t := range dead {
		if !awaited[idOf(t.wait.fifo)] {
			t.endWait() // where it cannot be ended now, it may be the next time
		}
	}
}

// endWait lets a thread's wait succeed; the deputy's lock is held.
func (t *thread) endWait() (err error) {
	if t.end < 0 {
		t.end, err = openBothEnds(t.wait.fifo)
	}
	return err
}

// A fileID tells files apart.
type fileID struct{ device, inode uint64 }

func idOf(fd int) fileID {
	var st unix.Stat_t
	unix.Fstat(fd, &st) // does not fail for an open file of the kernel's
	return fileID{uint64(st.Dev), st.Ino}
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
