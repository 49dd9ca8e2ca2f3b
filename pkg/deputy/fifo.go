package deputy

import (
	"golang.org/x/sys/unix"
)

// findFIFO opens what the first path names if that is a FIFO, or gives -1. Errors are left to the real opening.
func (r *request) findFIFO(how unix.OpenHow) int {
	how.Flags = unix.O_PATH | how.Flags&(unix.O_NOFOLLOW|unix.O_DIRECTORY)
	how.Mode = 0
	fd, err := r.open(0, how)
	if err != nil {
		return -1
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		unix.Close(fd)
		return -1
	}
	return fd
}

// openFIFO opens a FIFO, which waits for the other end, for as long as the deputy is there. It takes over the
// descriptor.
func (r *request) openFIFO(fifo int, how unix.OpenHow) Result {
	defer unix.Close(fifo)
	if !r.deputy.beginWait(fifo) {
		return failed(unix.EINTR)
	}
	defer r.deputy.endWait(fifo)
	flags := int(how.Flags) &^ (unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW)
	fd, err := unix.Open(ownLink(fifo), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(err)
	}
	return Result{FD: fd, CloseOnExec: how.Flags&unix.O_CLOEXEC != 0}
}

// beginWait enters a FIFO that a thread is about to wait for; false says that the deputy is closed.
func (d *Deputy) beginWait(fifo int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.fifos = append(d.fifos, fifo)
	return true
}

func (d *Deputy) endWait(fifo int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, other := range d.fifos {
		if other == fifo {
			d.fifos = append(d.fifos[:i], d.fifos[i+1:]...)
			return
		}
	}
}

// releaseWaiters ends every wait: being both ends of a FIFO lets anybody else open it. The lock is held.
func (d *Deputy) releaseWaiters() (both []int) {
	for _, fifo := range d.fifos {
		if fd, err := unix.Open(ownLink(fifo), unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
			both = append(both, fd)
		}
	}
	return both
}
