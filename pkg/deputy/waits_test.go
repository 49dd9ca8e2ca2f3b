package deputy

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A wait is a call that waits for a FIFO.
type wait struct {
	fifo   string
	alive  bool
	result chan Result
}

// waitFor lets a call wait for a FIFO, which is made.
func waitFor(t *testing.T, d *Deputy, fifo string, flags uint64) *wait {
	t.Helper()
	if err := unix.Mkfifo(fifo, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		t.Fatal(err)
	}
	fd, err := openat2(unix.AT_FDCWD, fifo, unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err != nil {
		t.Fatal(err)
	}
	own, err := ownCredentials()
	if err != nil {
		t.Fatal(err)
	}
	w := &wait{fifo: fifo, alive: true, result: make(chan Result, 1)}
	d.Await(Result{FD: -1, waiting: &waiting{fifo: fd, how: unix.OpenHow{Flags: flags},
		caller: caller{credentials: own, umask: 0o022}, valid: func() bool { return w.alive }}},
		func(r Result) { w.result <- r })
	return w
}

// expect says that the wait is over, with an errno or a descriptor, which is closed.
func (w *wait) expect(t *testing.T, want unix.Errno) {
	t.Helper()
	got := receive(t, w.result)
	if got.Errno != want || (got.FD < 0) != (want != 0) {
		t.Errorf("%s: %+v, not %v", filepath.Base(w.fifo), got, want)
	}
	if got.FD >= 0 {
		unix.Close(got.FD)
	}
}

// open opens the other end without a wait, once somebody has this one.
func (w *wait) open(t *testing.T) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(100 * time.Microsecond) {
		fd, err := unix.Open(w.fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
			return
		}
		if !errors.Is(err, unix.ENXIO) {
			t.Fatal(err)
		}
	}
	t.Errorf("nobody waits for %s", w.fifo)
}

func TestWaits(t *testing.T) {
	before := descriptors(t)
	folder := t.TempDir()
	d := deputyFor(t, folder)
	first, second := waitFor(t, d, folder+"/first", unix.O_RDONLY), waitFor(t, d, folder+"/second", unix.O_RDONLY)
	second.open(t)
	second.expect(t, 0)
	first.open(t)
	first.expect(t, 0)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// The end of the deputy ends the waits, also of who has taken the rights to the FIFO away.
func TestCloseEndsWaits(t *testing.T) {
	for _, mode := range []uint32{0o600, 0} {
		t.Run(fmt.Sprintf("%o", mode), func(t *testing.T) {
			before := descriptors(t)
			folder := t.TempDir()
			d := deputyFor(t, folder)
			waits := []*wait{waitFor(t, d, folder+"/a", unix.O_RDONLY), waitFor(t, d, folder+"/b", unix.O_WRONLY),
				waitFor(t, d, folder+"/a", unix.O_RDONLY)}
			for _, w := range waits {
				if err := unix.Chmod(w.fifo, mode); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			for _, w := range waits {
				if r := receive(t, w.result); r.FD >= 0 { // or EINTR, EACCES: it had not begun
					unix.Close(r.FD)
				}
				var st unix.Stat_t
				if err := unix.Stat(w.fifo, &st); err != nil || st.Mode&0o7777 != mode {
					t.Errorf("the mode is %o, %v", st.Mode&0o7777, err)
				}
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

// Tasks that have died while they waited do not keep others from waiting; who waits for the same FIFO is not disturbed.
func TestWaitsOfTheDead(t *testing.T) {
	folder := t.TempDir()
	d := deputyFor(t, folder)
	var dead []*wait
	for i := range maxWaits - 2 {
		dead = append(dead, waitFor(t, d, fmt.Sprintf("%s/%d", folder, i), unix.O_RDONLY))
	}
	shared, same := waitFor(t, d, folder+"/shared", unix.O_RDONLY), waitFor(t, d, folder+"/shared", unix.O_RDONLY)
	waiting := func() (count int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, other := range d.threads {
			if other.wait != nil {
				count++
			}
		}
		return count
	}
	for begin := time.Now(); waiting() < maxWaits; time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > patience {
			t.Fatalf("%d wait", waiting())
		}
	}
	waitFor(t, d, folder+"/more", unix.O_RDONLY).expect(t, unix.EAGAIN)
	d.mu.Lock()
	shared.alive = false
	for _, w := range dead {
		w.alive = false
	}
	d.mu.Unlock()
	more := waitFor(t, d, folder+"/more", unix.O_RDONLY)
	for _, w := range dead {
		w.expect(t, 0)
	}
	more.open(t)
	more.expect(t, 0)
	select {
	case r := <-same.result:
		t.Errorf("a wait for the FIFO of a dead task is over: %+v", r)
	default:
	}
	same.open(t)
	same.expect(t, 0)
}
