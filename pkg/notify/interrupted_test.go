package notify_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// Go's runtime preempts by signals; here the receiving thread gets as many as another thread can send.
func TestReceiveSurvivesSignals(t *testing.T) {
	const asked = 500
	c := startChild(t, "ask N", strconv.Itoa(asked))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	receiver := unix.Gettid()
	done := make(chan struct{})
	var sender sync.WaitGroup
	defer sender.Wait()
	defer close(done)
	sent := make(chan struct{})
	sender.Go(func() {
		for first := true; ; first = false {
			if err := unix.Tgkill(os.Getpid(), receiver, unix.SIGURG); err != nil {
				t.Error(err)
				return
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
