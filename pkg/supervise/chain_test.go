package supervise_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

func TestFirstAnswerWins(t *testing.T) {
	var asked []string
	link := func(name string, a supervise.Action) supervise.Handler {
		return supervise.HandlerFunc(func(*notify.Notification) supervise.Action {
			asked = append(asked, name)
			return a
		})
	}
	c := asking(t, chains{"ppid": {Handlers: []supervise.Handler{
		link("first", supervise.Continue()), link("second", supervise.Action{}), link("third", supervise.Return(3)),
		link("fourth", supervise.Return(4)),
	}}}, "ppid:1")
	served := c.serve()
	c.expectAnswers(t, "3")
	served()
	if diff := cmp.Diff([]string{"first", "second", "third"}, asked); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
	c.closeWithout(t)
}

func TestAnswersOfHandlers(t *testing.T) {
	by := map[int]supervise.Action{
		1: supervise.Continue(), 2: {}, 3: supervise.Fail(unix.EXDEV), 4: supervise.Return(-5000), 5: supervise.Return(1 << 40),
	}
	answer := supervise.HandlerFunc(func(n *notify.Notification) supervise.Action { return by[number(n)] })
	c := asking(t, chains{"ppid": {Handlers: []supervise.Handler{answer}}}, "ppid:1,ppid:2,ppid:3,ppid:4,ppid:5")
	served := c.serve()
	c.expectAnswers(t, fmt.Sprintf("%d %d %d %d %d", c.Reaper, c.Reaper, -int(unix.EXDEV), -5000, 1<<40))
	served()
}

// The filter and the chains come from the same registrations; where they disagree nobody has decided.
func TestCallWithoutAChainFails(t *testing.T) {
	c := asking(t, chains{"sid": {Handlers: []supervise.Handler{handle(supervise.Return(1))}}}, "ppid:1,sid:1")
	served := c.serve()
	c.expectAnswers(t, fmt.Sprintf("%d 1", -int(unix.ENOSYS)))
	served()
}

func TestHandlersComeBeforeWorkers(t *testing.T) {
	second := supervise.HandlerFunc(func(n *notify.Notification) supervise.Action {
		if number(n) == 2 {
			return supervise.Return(20)
		}
		return supervise.Continue()
	})
	c := asking(t, chains{"ppid": {Handlers: []supervise.Handler{second}, Pulled: true}}, "ppid:1,ppid:2,ppid:3")
	if !c.Pulled() {
		t.Error("the supervisor says that it needs no workers")
	}
	w := c.work(func(w *worker, n *notify.Notification) { w.Answer(supervise.Return(int64(number(n)))) })
	c.expectAnswers(t, "1 20 3")
	w.home(t)
	c.closeWithout(t)
}

func TestPanicOfAHandlerKills(t *testing.T) {
	panicking := supervise.HandlerFunc(func(*notify.Notification) supervise.Action { panic("a mistake") })
	later := handle(supervise.Return(1))
	c := asking(t, chains{"ppid": {Handlers: []supervise.Handler{panicking, later}}}, "ppid:1")
	served := c.serve()
	if status := c.reap(t); status != (launch.Status{Signal: unix.SIGKILL}) {
		t.Errorf("%+v", status)
	}
	served()
	if !c.Killed() {
		t.Error("the supervisor knows of no kill")
	}
}

func TestNobodyIsNeededWithoutPulledChains(t *testing.T) {
	c := asking(t, chains{"ppid": {Handlers: []supervise.Handler{handle(supervise.Return(1))}}, "sid": {}}, "ppid:1,sid:1")
	if c.Pulled() {
		t.Error("the supervisor says that it needs workers")
	}
	sid, err := unix.Getsid(c.PID)
	if err != nil {
		t.Fatal(err)
	}
	served := c.serve()
	c.expectAnswers(t, fmt.Sprintf("1 %d", sid))
	served()
	if c.Killed() {
		t.Error("the supervisor knows of a kill")
	}
}
