package supervise_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// Somebody else answers a held call, when others have been answered already.
func TestHeldCallWaitsForComplete(t *testing.T) {
	for name, chain := range map[string]supervise.Chain{
		"by a worker":  pulled,
		"by a handler": {Handlers: []supervise.Handler{handle(supervise.Hold())}},
	} {
		t.Run(name, func(t *testing.T) {
			c := asking(t, chains{"ppid": chain, "sid": pulled}, "ppid:1", "stdin,sid:2")
			w := c.NewWorker()
			if chain.Pulled {
				c.Next(w)
				w.Answer(supervise.Hold())
			}
			c.stdin.Close()
			second := c.Next(w)
			if second == nil || number(second) != 2 {
				t.Fatalf("not the call of the other thread: %v", second)
			}
			var id uint64
			eventually(t, "a held call", func() bool {
				for _, held := range c.Held() {
					if n, _ := c.Pending(held); held != second.ID() && number(&n) == 1 {
						id = held
					}
				}
				return id != 0
			})
			if fd, err := c.Complete(id, supervise.Return(11)); fd != -1 || err != nil {
				t.Errorf("Complete: %d, %v", fd, err)
			}
			if fd, err := c.Complete(id, supervise.Return(12)); fd != -1 || !errors.Is(err, supervise.ErrAnswered) {
				t.Errorf("Complete again: %d, %v; want ErrAnswered", fd, err)
			}
			w.Answer(supervise.Return(22))
			c.Next(w)
			c.expectAnswers(t, "11", "22")
			c.closeWithout(t)
		})
	}
}

func TestDetachedCallIsCompletedByAnother(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1,ppid:2")
	w := c.NewWorker()
	first := *c.Next(w)
	w.Detach()
	answered := make(chan error)
	go func() {
		_, err := c.Complete(first.ID(), supervise.Return(10))
		answered <- err
	}()
	if n := c.Next(w); n == nil || number(n) != 2 {
		t.Fatalf("not the second call: %v", n)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	w.Answer(supervise.Return(20))
	c.Next(w)
	c.expectAnswers(t, "10 20")
	c.closeWithout(t)
}

// The zero action is the constant one.
func TestCompleteWithoutAnActionFallsBack(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1")
	w := c.NewWorker()
	n := *c.Next(w)
	w.Detach()
	if _, err := c.Complete(n.ID(), supervise.Action{}); err != nil {
		t.Error(err)
	}
	c.expectAnswers(t, fmt.Sprint(-int(unix.EXDEV)))
}

func TestHeldCallOfWhoIsGone(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1")
	w := c.NewWorker()
	n := *c.Next(w)
	w.Answer(supervise.Hold())
	if _, err := c.Settle(w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{n.ID()}, c.Held()); diff != "" {
		t.Errorf("held (-want +got)\n%s", diff)
	}
	c.kill(t)
	if held := c.Held(); len(held) != 0 {
		t.Errorf("held for nobody: %v", held)
	}
	if _, err := c.Complete(n.ID(), supervise.Return(1)); err != nil {
		t.Errorf("Complete: %v", err)
	}
	if n := c.Next(w); n != nil {
		t.Errorf("notification %d", n.ID())
	}
	c.closeWithout(t)
}

// What is held for nobody is dropped before it fills the memory, and what somebody waits for stays.
func TestHeldCallsOfTheDeadAreBounded(t *testing.T) {
	const calls = 4000
	var ids []uint64
	done := make(chan struct{})
	over := supervise.HandlerFunc(func(n *notify.Notification) supervise.Action {
		if ids = append(ids, n.ID()); len(ids) == calls+1 {
			close(done)
		}
		if number(n) == 1 {
			return supervise.Hold() // of a task that goes on waiting
		}
		if err := n.Return(0); err != nil { // nobody waits any more, as after a task's death
			t.Error(err)
		}
		return supervise.Hold()
	})
	c := asking(t, chains{"ppid": {Handlers: []supervise.Handler{over}}}, "ppid:1", fmt.Sprintf("ppid:2*%d", calls))
	served := c.serve()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("not all calls after %v", limit)
	}
	var held []uint64
	eventually(t, "one held call", func() bool { held = c.Held(); return len(held) == 1 })
	if _, err := c.Complete(held[0], supervise.Return(1)); err != nil {
		t.Error(err)
	}
	c.line(t)
	c.line(t)
	served()
	kept := 0
	for _, id := range ids {
		if _, ok := c.Pending(id); ok {
			kept++
		}
	}
	if len(ids) != calls+1 || kept > calls/2 {
		t.Errorf("%d of %d are kept", kept, len(ids))
	}
}
