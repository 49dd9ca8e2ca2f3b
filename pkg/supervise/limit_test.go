package supervise_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// briefly is a pulled chain whose workers have next to no time.
var briefly = supervise.Chain{Pulled: true, Fallback: supervise.Fail(unix.EXDEV), Timeout: time.Millisecond}

func TestDecisionThatTakesTooLongFallsBack(t *testing.T) {
	c := asking(t, chains{"ppid": briefly, "sid": pulled}, "ppid:1,sid:2")
	w := c.NewWorker()
	late := *c.Next(w)
	task := late.Task()
	eventually(t, "an expiry", func() bool { return len(c.Expired()) > 0 })
	if diff := cmp.Diff([]supervise.Expiry{{ID: late.ID(), Syscall: unix.SYS_GETPPID, Task: task}}, c.Expired()); diff != "" {
		t.Errorf("expired (-want +got)\n%s", diff)
	}
	if _, ok := c.Pending(late.ID()); ok {
		t.Error("the notification is pending after its time")
	}
	// The worker's answer comes too late, and the next one counts again.
	w.Answer(supervise.Return(1))
	if fd, err := c.Settle(w); !errors.Is(err, supervise.ErrAnswered) || fd != -1 {
		t.Errorf("Settle: %d, %v; want ErrAnswered", fd, err)
	}
	if n := c.Next(w); n == nil || number(n) != 2 {
		t.Fatalf("not the second call: %v", n)
	}
	w.Answer(supervise.Return(2))
	if n := c.Next(w); n != nil {
		t.Errorf("notification %d", n.ID())
	}
	c.expectAnswers(t, fmt.Sprintf("%d 2", -int(unix.EXDEV)))
	c.closeWithout(t)
}

// However short the time is, it is noticed that it is over.
func TestEveryLimitIsNoticed(t *testing.T) {
	const calls = 500
	atOnce := briefly
	atOnce.Timeout = 1
	c := asking(t, chains{"ppid": atOnce}, fmt.Sprintf("ppid:1*%d", calls))
	w := c.work(func(w *worker, n *notify.Notification) {
		id := n.ID()
		eventually(t, "the end of the time", func() bool { _, waits := c.Pending(id); return !waits })
	})
	c.expectAnswers(t, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%d ", -int(unix.EXDEV)), calls), " "))
	w.home(t)
	if count := len(c.Expired()); count != calls {
		t.Errorf("%d of %d decisions took too long", count, calls)
	}
	c.closeWithout(t)
}

// A call whose time was over before a worker was free is nobody's any more.
func TestCallThatWaitsTooLongIsNotHandedOut(t *testing.T) {
	c := asking(t, chains{"ppid": pulled, "sid": briefly}, "ppid:1", "stdin,sid:2")
	away, release := make(chan struct{}), make(chan struct{})
	seen := 0
	w := c.work(func(w *worker, n *notify.Notification) {
		seen++
		close(away)
		<-release
		w.Answer(supervise.Return(1))
	})
	<-away
	c.stdin.Close()
	eventually(t, "an expiry", func() bool { return len(c.Expired()) == 1 })
	close(release)
	c.expectAnswers(t, "1", fmt.Sprint(-int(unix.EXDEV)))
	w.home(t)
	if seen != 1 {
		t.Errorf("the worker decided about %d calls, not 1", seen)
	}
	c.closeWithout(t)
}

func TestLimitGivesMoreTime(t *testing.T) {
	soon := briefly
	soon.Timeout = time.Hour
	c := asking(t, chains{"ppid": soon}, "ppid:1,ppid:2")
	w := c.NewWorker()
	n := *c.Next(w)
	if !c.Limit(n.ID(), 1, 0, supervise.Fail(unix.EIO)) {
		t.Error("Limit: answered already")
	}
	w.Answer(supervise.Return(1))
	second := *c.Next(w)
	if c.Limit(n.ID(), 1, time.Hour, supervise.Fail(unix.EIO)) {
		t.Error("Limit of what is answered")
	}
	if !c.Limit(second.ID(), 2, time.Millisecond, supervise.Fail(unix.ENODEV)) {
		t.Error("Limit: answered already")
	}
	eventually(t, "an expiry", func() bool { return len(c.Expired()) == 1 })
	if stage := c.Expired()[0].Stage; stage != 2 {
		t.Errorf("expired at stage %d", stage)
	}
	c.Next(w)
	c.expectAnswers(t, fmt.Sprintf("1 %d", -int(unix.ENODEV)))
	c.closeWithout(t)
}

// A time that is set anew at the very moment when it is over answers at most once, and what was told is true.
func TestLimitAtTheLastMoment(t *testing.T) {
	const calls = 2000
	soon := pulled
	soon.Timeout, soon.Fallback = 20*time.Microsecond, supervise.Fail(unix.EXDEV)
	c := asking(t, chains{"ppid": soon}, fmt.Sprintf("ppid:1*%d", calls))
	inTime := 0
	w := c.work(func(w *worker, n *notify.Notification) {
		if c.Limit(n.ID(), 1, 0, supervise.Fail(unix.EIO)) {
			inTime++
		}
		w.Answer(supervise.Return(1))
	})
	answers := strings.Fields(c.line(t))
	w.home(t)
	answered := 0
	for _, answer := range answers {
		if answer == "1" {
			answered++
		}
	}
	if answered != inTime || len(answers) != calls {
		t.Errorf("%d of %d calls were answered by the worker, which was told of %d", answered, len(answers), inTime)
	}
	c.closeWithout(t)
}

func TestDecisionInTimeDoesNotExpire(t *testing.T) {
	timed := pulled
	timed.Timeout = time.Hour
	c := asking(t, chains{"ppid": timed}, "ppid:1*20")
	w := c.work(func(w *worker, n *notify.Notification) { w.Answer(supervise.Return(1)) })
	w.home(t)
	if expired := c.Expired(); len(expired) != 0 {
		t.Errorf("%v", expired)
	}
	c.closeWithout(t)
}

// A child that lets its calls expire again and again does not fill the memory.
func TestExpiriesAreBounded(t *testing.T) {
	const calls, most = 1200, 1000
	chain := pulled
	chain.Timeout = time.Microsecond
	c := asking(t, chains{"ppid": chain}, fmt.Sprintf("ppid:1*%d", calls))
	w := c.work(func(w *worker, n *notify.Notification) { w.Detach() })
	c.line(t)
	w.home(t)
	eventually(t, "all expiries", func() bool { return len(c.Expired())+c.MoreExpired() == calls })
	if count := len(c.Expired()); count != most {
		t.Errorf("%d expiries are kept", count)
	}
}
