package notify_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// receiving starts a Receive that finds nothing, and returns when its thread is blocked.
func receiving(t *testing.T, l *notify.Listener) (result chan error) {
	t.Helper()
	result = make(chan error, 1)
	thread := make(chan int)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		result <- l.Receive(new(notify.Notification))
	}()
	inCall(t, fmt.Sprintf("/proc/self/task/%d/syscall", <-thread), unix.SYS_PPOLL)
	return result
}

func expectEnded(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, notify.ErrEnded) {
		t.Errorf("Receive: %v, want ErrEnded", err)
	}
}

func TestShutdownWakesReceive(t *testing.T) {
	c := startChild(t, "wait")
	result := receiving(t, c.listener)
	if err := c.listener.Shutdown(); err != nil {
		t.Fatal(err)
	}
	expectEnded(t, <-result)
}

func TestCloseWakesReceive(t *testing.T) {
	c := startChild(t, "wait")
	result := receiving(t, c.listener)
	if err := c.listener.Close(); err != nil {
		t.Fatal(err)
	}
	expectEnded(t, <-result)
}

func TestInterruptWakesReceiveOnce(t *testing.T) {
	c := startChild(t, "ask")
	c.receive(t) // so that nothing more comes
	for _, blocked := range []bool{true, false} {
		var result chan error
		if blocked {
			result = receiving(t, c.listener)
		}
		if err := c.listener.Interrupt(); err != nil {
			t.Fatal(err)
		}
		if !blocked {
			result = make(chan error, 1)
			result <- c.listener.Receive(new(notify.Notification))
		}
		if err := <-result; !errors.Is(err, notify.ErrInterrupted) {
			t.Errorf("Receive: %v, want ErrInterrupted", err)
		}
	}
	result := receiving(t, c.listener)
	if err := c.listener.Shutdown(); err != nil {
		t.Fatal(err)
	}
	expectEnded(t, <-result)
}

func TestShutdownIsForGood(t *testing.T) {
	c := startChild(t, "ask")
	c.receive(t)
	for range 2 {
		if err := c.listener.Shutdown(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			expectEnded(t, c.listener.Receive(new(notify.Notification)))
		}
	}
}

func TestAnswerAfterShutdown(t *testing.T) {
	c := startChild(t, "ask")
	n := c.receive(t)
	if err := c.listener.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if !n.Valid() {
		t.Error("the notification is over")
	}
	if err := n.Return(9); err != nil {
		t.Fatal(err)
	}
	if got := c.told(t); got != 9 {
		t.Errorf("the child got %d, want 9", got)
	}
}

func TestReceiveEndsWithTheLastTask(t *testing.T) {
	c := startChild(t, "wait")
	result := receiving(t, c.listener)
	if err := c.stdin.Close(); err != nil { // what the child waits for
		t.Fatal(err)
	}
	expectEnded(t, <-result)
	if status := c.reap(t); status.Code != 0 || status.Signal != 0 {
		t.Errorf("%+v", status)
	}
}

// The shell is gone before its own child is, which asks.
func TestReceiveEndsNotBeforeTheLastTask(t *testing.T) {
	c := startProgram(t, "/bin/sh", []string{"sh", "-c", "sh -c : & exit"})
	asked := 0
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
		if err := n.Continue(); err != nil {
			t.Fatal(err)
		}
	}
	if asked == 0 {
		t.Skip("this machine's sh does not ask for its parent")
	}
}
