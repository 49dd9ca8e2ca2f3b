package supervise_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

func TestShutdownSendsEveryWorkerHome(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1", "stdin")
	away, release := make(chan struct{}), make(chan struct{})
	first := c.work(func(w *worker, n *notify.Notification) {
		close(away)
		<-release
	})
	<-away
	var others []*worker
	for range 3 {
		others = append(others, c.work(func(w *worker, n *notify.Notification) { t.Errorf("call %d", number(n)) }))
	}
	if err := c.Shutdown(); err != nil {
		t.Fatal(err)
	}
	for _, w := range others {
		w.home(t)
	}
	select {
	case <-first.done:
		t.Error("the worker that is away is home")
	default:
	}
	close(release) // it learns it when it comes back, and its answer still counts
	first.home(t)
	c.stdin.Close()
	c.expectAnswers(t, fmt.Sprint(-int(unix.EXDEV)), "")
	c.work(func(w *worker, n *notify.Notification) {}).home(t)
	c.closeWithout(t)
}

func TestEndOfTheChildSendsEveryWorkerHome(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1")
	var workers []*worker
	for range 4 {
		workers = append(workers, c.work(func(w *worker, n *notify.Notification) { w.Answer(supervise.Return(1)) }))
	}
	c.expectAnswers(t, "1")
	for _, w := range workers {
		w.home(t)
	}
	c.closeWithout(t)
}

// Workers that are away do not keep Close waiting, and find everything gone when they come back.
func TestCloseDoesNotWaitForDecisions(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1")
	w := c.NewWorker()
	n := *c.Next(w)
	c.kill(t)
	c.closeWithout(t)
	if _, ok := c.Pending(n.ID()); ok || n.Valid() || len(c.Held()) > 0 {
		t.Error("the notification is pending after Close")
	}
	w.Answer(supervise.Return(1))
	if n := c.Next(w); n != nil {
		t.Errorf("notification %d after Close", n.ID())
	}
	c.closeWithout(t)
}

func TestAbandonFallsBack(t *testing.T) {
	decides := supervise.Chain{Handlers: []supervise.Handler{handle(supervise.Return(5))}, Pulled: true}
	c := asking(t, chains{"ppid": pulled, "sid": decides}, "ppid:1,ppid:3,sid:4", "stdin,ppid:2,sid:4")
	away, release := make(chan struct{}), make(chan struct{})
	first := c.work(func(w *worker, n *notify.Notification) {
		close(away)
		<-release
		w.Answer(supervise.Return(1))
	})
	<-away
	idle := c.work(func(w *worker, n *notify.Notification) { t.Errorf("call %d", number(n)) })
	if err := c.Abandon(); err != nil {
		t.Fatal(err)
	}
	idle.home(t)
	c.stdin.Close()
	fallback := fmt.Sprint(-int(unix.EXDEV))
	c.expectAnswers(t, fallback+" "+fallback+" 5", fallback+" 5")
	close(release) // too late
	first.home(t)
	c.closeWithout(t)
}

func TestAbandonBeforeAnybodyWorks(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1,ppid:2")
	for range 2 {
		if err := c.Abandon(); err != nil {
			t.Fatal(err)
		}
	}
	c.expectAnswers(t, strings.Repeat(fmt.Sprintf(" %d", -int(unix.EXDEV)), 2)[1:])
	if n := c.Next(c.NewWorker()); n != nil {
		t.Errorf("notification %d", n.ID())
	}
	c.closeWithout(t)
}

func TestAbandonWhileAWorkerReceives(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1,stdin,ppid:2")
	first := make(chan struct{})
	w := c.work(func(w *worker, n *notify.Notification) {
		if number(n) != 1 {
			t.Errorf("call %d", number(n))
		}
		w.Answer(supervise.Return(1))
		close(first)
	})
	<-first
	w.receives(t)
	if err := c.Abandon(); err != nil {
		t.Fatal(err)
	}
	w.home(t)
	c.stdin.Close()
	c.expectAnswers(t, fmt.Sprintf("1 %d", -int(unix.EXDEV)))
	c.closeWithout(t)
}

// A handler that has begun comes to its end, and its answer counts.
func TestCloseWaitsForHandlers(t *testing.T) {
	for name, reserve := range map[string]bool{"of the thread that serves": false, "of the reserve": true} {
		t.Run(name, func(t *testing.T) {
			entered := make(chan struct{})
			slow := supervise.HandlerFunc(func(n *notify.Notification) supervise.Action {
				close(entered)
				for begin := time.Now(); time.Since(begin) < 50*time.Millisecond; {
					if !n.Valid() {
						t.Error("the listener was closed under a handler")
						break
					}
				}
				return supervise.Return(5)
			})
			c := asking(t, chains{"ppid": pulled, "sid": {Handlers: []supervise.Handler{slow}}}, "ppid:1", "stdin,sid:2")
			release := make(chan struct{})
			w := c.work(func(w *worker, n *notify.Notification) {
				c.stdin.Close()
				if reserve {
					<-release
				}
			})
			<-entered
			c.closeWithout(t)
			close(release)
			w.home(t)
			first := -int(unix.EXDEV)
			if reserve {
				first = -int(unix.ENOSYS) // nobody was left to answer
			}
			c.expectAnswers(t, fmt.Sprint(first), "5")
		})
	}
}

// Each run has at least its execve to be decided, in turn by a handler and by workers.
func TestRunsLeaveNothing(t *testing.T) {
	type holdings struct{ Descriptors, Goroutines int }
	held := func() holdings {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return holdings{len(entries), runtime.NumGoroutine()}
	}
	run := func(i int) {
		chain := pulled
		chain.Timeout = time.Hour
		if i%2 == 0 {
			chain = supervise.Chain{Handlers: []supervise.Handler{handle(supervise.Continue())}}
		}
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := launched(t, map[int]supervise.Chain{unix.SYS_EXECVE: chain}, []int{unix.SYS_EXECVE}, []string{"/bin/sh", "-c", "exec /bin/true"})
			calls := 0
			if c.Pulled() {
				workers := []*worker{}
				for range 3 {
					workers = append(workers, c.work(func(w *worker, n *notify.Notification) {
						calls++
						w.Answer(supervise.Continue())
					}))
				}
				for _, w := range workers {
					w.home(t)
				}
			} else {
				calls = 2
				c.Serve()
			}
			if status := c.reap(t); status != (launch.Status{}) || calls != 2 {
				t.Errorf("%+v after %d calls", status, calls)
			}
			c.closeWithout(t)
		})
	}
	run(0)
	run(1)
	before := held()
	for i := range 100 {
		run(i)
	}
	var after holdings
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(time.Millisecond) {
		if after = held(); after.Goroutines <= before.Goroutines {
			break
		}
	}
	after.Goroutines = max(after.Goroutines, before.Goroutines)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("left behind (-before +after)\n%s", diff)
	}
}
