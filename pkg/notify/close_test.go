package notify_test

import (
	"errors"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

func TestCloseTwice(t *testing.T) {
	c := startChild(t, "wait")
	for range 2 {
		if err := c.listener.Close(); err != nil {
			t.Error(err)
		}
	}
	expectEnded(t, c.listener.Receive(new(notify.Notification)))
	if err := c.listener.Shutdown(); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestNothingAfterClose(t *testing.T) {
	c, n, address := showing(t, content(1), 0)
	if err := c.listener.Close(); err != nil {
		t.Fatal(err)
	}
	expectGone(t, n, address)
}

func TestWhoWaitsGetsENOSYSFromClose(t *testing.T) {
	c := startChild(t, "ask")
	c.receive(t)
	if err := c.listener.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the one that waits, and one that comes later
		if got := c.told(t); got != -int64(unix.ENOSYS) {
			t.Errorf("the child got %d, want -ENOSYS", got)
		}
	}
}

// The numbers of the closed descriptors are other files' at once; nobody may take those for the listener.
func TestCloseWhileOthersUseTheListener(t *testing.T) {
	c, n, address := showing(t, content(1), 0)
	var users sync.WaitGroup
	begun := make(chan struct{}, 3)
	use := func(once func() error) {
		users.Go(func() {
			for round := 0; ; round++ {
				if round == 1 {
					begun <- struct{}{}
				}
				if err := once(); err != nil {
					if !errors.Is(err, notify.ErrGone) && !errors.Is(err, notify.ErrEnded) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	buffers := [2][64]byte{}
	use(func() error { _, err := n.Read(buffers[0][:], address); return err })
	use(func() error { return n.Write(buffers[1][:], address) })
	use(func() error {
		if !n.Valid() {
			return notify.ErrGone
		}
		return nil
	})
	users.Go(func() { expectEnded(t, c.listener.Receive(new(notify.Notification))) })
	for range cap(begun) {
		<-begun
	}
	if err := c.listener.Close(); err != nil {
		t.Error(err)
	}
	for range 4 {
		if f, err := os.Open(os.DevNull); err == nil {
			defer f.Close()
		}
	}
	users.Wait()
}

func TestListenerLeavesNoDescriptor(t *testing.T) {
	before := descriptors(t)
	c := startChild(t, "ask")
	c.receive(t)
	c.kill(t)
	c.reap(t)
	if err := c.listener.Close(); err != nil {
		t.Fatal(err)
	}
	c.stdin.Close()
	const stdout = 1 // the host's end of the child's output, which stays open
	if after := descriptors(t); after != before+stdout {
		t.Errorf("%d descriptors before, %d after", before, after-stdout)
	}
}

func TestListenerThatCannotBeMadeLeavesNoDescriptor(t *testing.T) {
	fd, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	full := limit
	full.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &full); err != nil {
		t.Fatal(err)
	}
	l, err := notify.NewListener(fd)
	if restored := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); restored != nil {
		t.Fatal(restored)
	}
	if !errors.Is(err, unix.EMFILE) || l != nil {
		t.Errorf("listener %v, error %v; want EMFILE", l, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("the descriptor is open: %v", err)
	}
}
