package supervise_test

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// pulled leaves a call to the workers; its fallback is an errno that nobody else gives.
var pulled = supervise.Chain{Pulled: true, Fallback: supervise.Fail(unix.EXDEV)}

func TestWorkerAnswers(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1,ppid:2,ppid:3")
	w := c.work(func(w *worker, n *notify.Notification) {
		switch number(n) {
		case 1:
			w.Answer(supervise.Return(10))
		case 2:
			w.Answer(supervise.Fail(unix.EIO))
		case 3:
			w.Answer(supervise.Continue())
		}
	})
	c.expectAnswers(t, fmt.Sprintf("10 %d %d", -int(unix.EIO), c.Reaper))
	w.home(t)
	c.closeWithout(t)
}

// The answer to one call is not the answer to the next.
func TestWorkerWithoutAnAnswerFallsBack(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1,ppid:2,ppid:3")
	w := c.work(func(w *worker, n *notify.Notification) {
		if number(n) != 2 {
			w.Answer(supervise.Return(10))
		}
	})
	c.expectAnswers(t, fmt.Sprintf("10 %d 10", -int(unix.EXDEV)))
	w.home(t)
}

func TestFallbackThatIsNotNamedKills(t *testing.T) {
	c := asking(t, chains{"ppid": {Pulled: true}}, "ppid:1")
	w := c.work(func(*worker, *notify.Notification) {})
	if status := c.reap(t); status != (launch.Status{Signal: unix.SIGKILL}) {
		t.Errorf("%+v", status)
	}
	w.home(t)
	if !c.Killed() {
		t.Error("the supervisor knows of no kill")
	}
}

func TestNextAfterTheEnd(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "sid:0")
	w := c.NewWorker()
	for range 2 { // the call without a chain is answered on the way
		if n := c.Next(w); n != nil {
			t.Errorf("notification %d after the end", n.ID())
		}
	}
	if n := c.Next(c.NewWorker()); n != nil {
		t.Errorf("notification %d after the end", n.ID())
	}
}

// Any thread may look at a notification while it is with a worker, and no longer.
func TestPendingWhileItIsWithAWorker(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1,ppid:2")
	w := c.NewWorker()
	first := *c.Next(w)
	seen := make(chan bool)
	look := func(id uint64) bool {
		go func() {
			n, ok := c.Pending(id)
			seen <- ok && n.ID() == id && n.Valid()
		}()
		return <-seen
	}
	if !look(first.ID()) || look(first.ID()+1) || look(0) {
		t.Error("pending is not the one notification that is with the worker")
	}
	second := *c.Next(w)
	if look(first.ID()) || !look(second.ID()) {
		t.Error("pending is not the second notification alone")
	}
	c.Next(w)
	if look(second.ID()) {
		t.Error("pending is a notification after its answer")
	}
}

func TestAnswerToWhoIsGone(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1")
	w := c.NewWorker()
	n := c.Next(w)
	c.kill(t)
	if _, err := n.Read(make([]byte, 1), n.InstructionPointer()); !errors.Is(err, notify.ErrGone) {
		t.Errorf("Read: %v, want ErrGone", err)
	}
	w.Answer(supervise.Return(1))
	if n := c.Next(w); n != nil {
		t.Errorf("notification %d", n.ID())
	}
	c.closeWithout(t)
}
