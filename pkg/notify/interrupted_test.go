package notify_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

func init() {
	children["ask in threads"] = askInThreads
	children["take descriptors"] = takeDescriptors
}

// askInThreads asks in as many threads as its argument says, each with its own number, and tells the sum of the answers.
func askInThreads() {
	threads, _ := strconv.Atoi(os.Args[1])
	var sum atomic.Int64
	var all sync.WaitGroup
	for i := range threads {
		all.Go(func() { sum.Add(ask(uintptr(i))) })
	}
	all.Wait()
	fmt.Println(sum.Load())
}

// takeDescriptors asks as often as its argument says, each time for a descriptor, and tells how often it got one.
func takeDescriptors() {
	count, _ := strconv.Atoi(os.Args[1])
	right := 0
	for range count {
		if fd := int(ask()); fd > 2 && unix.Close(fd) == nil {
			right++
		}
	}
	fmt.Println(right)
}

// underSignals sends signals to the calling thread, as many as another one can, until the returned function is called.
// Go's runtime preempts by this one: every supervisor gets some.
func underSignals(t *testing.T) (stop func()) {
	runtime.LockOSThread()
	thread := unix.Gettid()
	done, sent := make(chan struct{}), make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() {
		for first := true; ; first = false {
			if err := unix.Tgkill(os.Getpid(), thread, unix.SIGURG); err != nil {
				t.Error(err)
			}
			if first {
				close(sent)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	<-sent
	return func() {
		close(done)
		sender.Wait()
		runtime.UnlockOSThread()
	}
}

func TestReceiveSurvivesSignals(t *testing.T) {
	const asked = 500
	c := startChild(t, "ask N", strconv.Itoa(asked))
	defer underSignals(t)()
	for range asked {
		n := c.receive(t)
		if _, err := n.Read(make([]byte, 1), n.InstructionPointer()); err != nil {
			t.Fatal(err)
		}
		if err := n.Return(int64(n.Args()[0])); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.told(t); got != asked {
		t.Errorf("%d of %d answers were right", got, asked)
	}
	expectEnded(t, c.listener.Receive(new(notify.Notification)))
}

// growing makes the child that waits for the answer to a notification take descriptors, for each of which its table
// must grow: its threads share the table, so that the kernel takes its time, and holds the lock that every look at the
// listener needs. Who waits for that lock is interrupted by a signal.
func growing(t *testing.T, n *notify.Notification) (done chan struct{}) {
	t.Helper()
	fd := given(t)
	done = make(chan struct{})
	go func() {
		defer close(done)
		for number := 100; number < 1<<16; number *= 2 {
			err := n.PlaceFD(fd, number, 0)
			if errors.Is(err, unix.EBADF) {
				break // the child's limit
			}
			if err != nil {
				t.Error(err)
			}
		}
	}()
	return done
}

func TestWaitingSurvivesSignals(t *testing.T) {
	c := startChild(t, "ask")
	done := growing(t, c.receive(t))
	go func() {
		<-done
		if err := c.listener.Interrupt(); err != nil {
			t.Error(err)
		}
	}()
	defer underSignals(t)()
	if err := c.listener.Receive(new(notify.Notification)); !errors.Is(err, notify.ErrInterrupted) {
		t.Errorf("Receive: %v, want ErrInterrupted", err)
	}
	<-done
}

func TestAnswersSurviveSignals(t *testing.T) {
	const others = 10
	c := startChild(t, "ask in threads", strconv.Itoa(1+others))
	taking := c.receive(t)
	done := growing(t, taking)
	defer underSignals(t)()
	want := int64(0)
	for range others {
		n := c.receive(t)
		for again := true; again; {
			select {
			case <-done:
				again = false
			default:
			}
			if !n.Valid() {
				t.Error("a notification is over before its answer")
			}
		}
		want += int64(n.Args()[0])
		if err := n.Return(int64(n.Args()[0])); err != nil {
			t.Error(err)
		}
	}
	<-done
	want += int64(taking.Args()[0])
	if err := taking.Return(int64(taking.Args()[0])); err != nil {
		t.Error(err)
	}
	if got := c.told(t); got != want {
		t.Errorf("the answers add up to %d, not %d", got, want)
	}
}

// A signal before the task has taken the descriptor must not make the call return anything else.
func TestSentDescriptorsSurviveSignals(t *testing.T) {
	const asked = 2000
	c := startChild(t, "take descriptors", strconv.Itoa(asked))
	fd := given(t)
	defer underSignals(t)()
	for range asked {
		if number, err := c.receive(t).SendFD(fd, unix.O_CLOEXEC); err != nil || number < 3 {
			t.Errorf("SendFD: %d, %v", number, err)
		}
	}
	if got := c.told(t); got != asked {
		t.Errorf("the child got %d of %d descriptors", got, asked)
	}
}

// killing kills its children at different moments: before, while and after they ask.
const killing = `i=0
while [ $i -lt 300 ]; do
	i=$((i + 1)); sh -c : & j=0
	while [ $j -lt $((i * 12)) ]; do j=$((j + 1)); done
	kill -KILL $!
done
wait`

func TestReceiveSurvivesKilledTasks(t *testing.T) {
	c := startProgram(t, "/bin/sh", []string{"sh", "-c", killing})
	asked, gone := 0, 0
	for {
		var n notify.Notification
		err := c.listener.Receive(&n)
		if errors.Is(err, notify.ErrEnded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		asked++
		if !n.Valid() {
			gone++
		}
		if err := n.Continue(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d notifications, of which %d were over when they were received", asked, gone)
	if status := c.reap(t); status.Failure != nil || status.Signal != 0 {
		t.Errorf("%+v: %s", status, c.rest())
	}
}

// A child of the shell is killed before its call is received, then the shell itself asks.
func TestReceiveSkipsWhoDiedUnreceived(t *testing.T) {
	c := startProgram(t, "/bin/sh", []string{"sh", "-c", `sh -c : & echo $!; read go; kill -KILL $!; wait; echo 0; exec sh -c :`})
	if err := c.receive(t).Continue(); err != nil { // the shell's own start
		t.Fatal(err)
	}
	doomed := int(c.told(t))
	inCall(t, fmt.Sprintf("/proc/%d/syscall", doomed), unix.SYS_GETPPID)
	if _, err := c.stdin.WriteString("go\n"); err != nil {
		t.Fatal(err)
	}
	c.told(t)
	n := c.receive(t)
	if n.Task() != c.PID || !n.Valid() {
		t.Errorf("received the call of %d (valid: %v); the shell is %d, the one that died %d", n.Task(), n.Valid(), c.PID, doomed)
	}
	if err := n.Continue(); err != nil {
		t.Fatal(err)
	}
	expectEnded(t, c.listener.Receive(n))
}
