package supervise_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// One worker stays away with the call 1 until the other has answered ten calls of another thread.
func TestAnotherWorkerStandsIn(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1", "ppid:2*10")
	var others atomic.Int32
	release := make(chan struct{})
	decide := func(w *worker, n *notify.Notification) {
		if number(n) == 1 {
			<-release
		} else if others.Add(1) == 10 {
			close(release)
		}
		w.Answer(supervise.Return(int64(number(n))))
	}
	workers := []*worker{c.work(decide), c.work(decide)}
	c.expectAnswers(t, "1", "2"+strings.Repeat(" 2", 9))
	for _, w := range workers {
		w.home(t)
	}
	c.closeWithout(t)
}

// While the only worker is away, handlers in Go are asked all the same.
func TestHandlersDecideWhileEveryWorkerIsAway(t *testing.T) {
	var calls atomic.Int32
	release := make(chan struct{})
	tenth := supervise.HandlerFunc(func(*notify.Notification) supervise.Action {
		if calls.Add(1) == 10 {
			close(release)
		}
		return supervise.Return(2)
	})
	c := asking(t, chains{"ppid": pulled, "sid": {Handlers: []supervise.Handler{tenth}}}, "ppid:1", "sid:2*10")
	w := c.work(func(w *worker, n *notify.Notification) {
		<-release
		w.Answer(supervise.Return(1))
	})
	c.expectAnswers(t, "1", "2"+strings.Repeat(" 2", 9))
	w.home(t)
	c.closeWithout(t)
}

// When the worker comes back, what comes next is its again.
func TestWorkerThatComesBackGetsTheNextCalls(t *testing.T) {
	stood := make(chan struct{}) // somebody stood in
	one := supervise.HandlerFunc(func(*notify.Notification) supervise.Action {
		close(stood)
		return supervise.Return(2)
	})
	c := asking(t, chains{"ppid": pulled, "sid": {Handlers: []supervise.Handler{one}}}, "ppid:1,ppid:3*50", "stdin,sid:2")
	w := c.work(func(w *worker, n *notify.Notification) {
		if number(n) == 1 {
			c.stdin.Close()
			<-stood
		}
		w.Answer(supervise.Return(int64(number(n))))
	})
	c.expectAnswers(t, "1"+strings.Repeat(" 3", 50), "2")
	w.home(t)
	c.closeWithout(t)
}

// What comes while the only worker is away is received at once, and waits for it.
func TestCallsWaitForTheWorkerThatIsAway(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1", "ppid:2", "ppid:3", "ppid:4")
	first := true
	w := c.work(func(w *worker, n *notify.Notification) {
		if first {
			eventually(t, "all four calls received", func() bool { return len(c.Held()) == 4 })
		}
		first = false
		w.Answer(supervise.Return(int64(10 * number(n))))
	})
	c.expectAnswers(t, "10", "20", "30", "40")
	w.home(t)
	c.closeWithout(t)
}

// A worker that begins when the other is away already is not left standing.
func TestLateWorkerStandsIn(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1", "stdin,ppid:2*10")
	away, release := make(chan struct{}), make(chan struct{})
	first := c.work(func(w *worker, n *notify.Notification) {
		close(away)
		<-release
		w.Answer(supervise.Return(1))
	})
	<-away
	others := 0
	late := c.work(func(w *worker, n *notify.Notification) {
		if others++; others == 10 {
			close(release)
		}
		w.Answer(supervise.Return(2))
	})
	c.stdin.Close()
	c.expectAnswers(t, "1", "2"+strings.Repeat(" 2", 9))
	first.home(t)
	late.home(t)
	c.closeWithout(t)
}

// Handlers in Go are asked on the thread that receives, so they tell who leads: not the worker that comes back late.
func TestWorkerThatComesBackLateFollows(t *testing.T) {
	taken := make(chan int, 1) // the thread that has taken over
	asked := map[int]int{}     // calls after that, by thread
	record := supervise.HandlerFunc(func(n *notify.Notification) supervise.Action {
		if number(n) == 2 {
			taken <- unix.Gettid()
		} else {
			asked[unix.Gettid()]++
		}
		return supervise.Return(0)
	})
	c := asking(t, chains{"ppid": pulled, "sid": {Handlers: []supervise.Handler{record}}}, "ppid:1,sid:3*50", "stdin,sid:2")
	away := make(chan struct{})
	var late, leader int
	decide := func(w *worker, n *notify.Notification) {
		close(away)
		late, leader = w.thread, <-taken
		w.Answer(supervise.Return(1))
	}
	workers := []*worker{c.work(decide), c.work(decide)}
	<-away
	c.stdin.Close()
	c.expectAnswers(t, "1"+strings.Repeat(" 0", 50), "0")
	for _, w := range workers {
		w.home(t)
	}
	if diff := cmp.Diff(map[int]int{leader: 50}, asked); diff != "" || late == leader {
		t.Errorf("calls by thread, after %d came back late and %d led (-want +got)\n%s", late, leader, diff)
	}
	c.closeWithout(t)
}

// Many workers and many threads: each call gets its own answer, once.
func TestCrowd(t *testing.T) {
	var lists, want []string
	for i := range 8 {
		lists = append(lists, fmt.Sprintf("ppid:%d*100", i))
		want = append(want, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%d ", i), 100), " "))
	}
	c := asking(t, chains{"ppid": pulled}, lists...)
	var calls atomic.Int32
	var workers []*worker
	for range 4 {
		workers = append(workers, c.work(func(w *worker, n *notify.Notification) {
			calls.Add(1)
			w.Answer(supervise.Return(int64(number(n))))
		}))
	}
	c.expectAnswers(t, want...)
	for _, w := range workers {
		w.home(t)
	}
	if calls.Load() != 800 {
		t.Errorf("%d decisions about 800 calls", calls.Load())
	}
	c.closeWithout(t)
}

// What waits for a free worker is dropped when its task no longer waits, before it fills the memory.
func TestBacklogOfTheDeadIsBounded(t *testing.T) {
	const calls = 4000
	count, done := 0, make(chan struct{})
	over := supervise.HandlerFunc(func(n *notify.Notification) supervise.Action {
		if number(n) != 1 {
			if err := n.Return(0); err != nil { // nobody waits any more, as after a task's death
				t.Error(err)
			}
			if count++; count == calls {
				close(done)
			}
		}
		return supervise.Continue()
	})
	chain := pulled
	chain.Handlers = []supervise.Handler{over}
	c := asking(t, chains{"ppid": chain}, "ppid:1", fmt.Sprintf("stdin,ppid:2*%d", calls))
	w := c.work(func(w *worker, n *notify.Notification) {
		if number(n) == 1 {
			c.stdin.Close()
			select {
			case <-done:
			case <-time.After(limit):
				t.Errorf("not all calls after %v", limit)
			}
			if waiting := c.Backlog(); waiting > calls/2 {
				t.Errorf("%d of %d wait", waiting, calls)
			}
		}
		w.Answer(supervise.Return(1))
	})
	c.line(t)
	c.line(t)
	w.home(t)
	c.closeWithout(t)
}
