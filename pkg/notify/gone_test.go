package notify_test

import (
	"errors"
	"os"
	"os/signal"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// uses are everything that can be done with the memory behind a notification.
func uses(n *notify.Notification, address uint64) map[string]error {
	buffer := make([]byte, 16)
	_, read := n.Read(buffer, address)
	_, readString := n.ReadString(buffer, address, len(buffer)-1)
	return map[string]error{
		"read": read, "read string": readString, "write": n.Write(buffer, address), "write nothing": n.Write(nil, address),
	}
}

// expectGone says that a notification is over: its memory is out of reach, and its answers are dropped.
func expectGone(t *testing.T, n *notify.Notification, address uint64) {
	t.Helper()
	if n.Valid() {
		t.Error("the notification is valid")
	}
	for name, err := range uses(n, address) {
		if !errors.Is(err, notify.ErrGone) {
			t.Errorf("%s: %v, want ErrGone", name, err)
		}
	}
	for name, err := range map[string]error{"Continue": n.Continue(), "Fail": n.Fail(unix.EPERM), "Return": n.Return(1)} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingAfterTheAnswer(t *testing.T) {
	for name, answer := range map[string]func(*notify.Notification) error{
		"continue": (*notify.Notification).Continue,
		"errno":    func(n *notify.Notification) error { return n.Fail(unix.EPERM) },
		"return":   func(n *notify.Notification) error { return n.Return(5) },
	} {
		t.Run(name, func(t *testing.T) {
			_, n, address := showing(t, content(1), 0)
			for use, err := range uses(n, address) {
				if err != nil && !errors.Is(err, notify.ErrTooLong) {
					t.Fatalf("%s before the answer: %v", use, err)
				}
			}
			if err := answer(n); err != nil {
				t.Fatal(err)
			}
			expectGone(t, n, address)
		})
	}
}

func TestNothingAfterTheTasksDeath(t *testing.T) {
	c, n, address := showing(t, content(1), 0)
	c.kill(t)
	expectGone(t, n, address)
	if err := c.listener.Receive(n); !errors.Is(err, notify.ErrEnded) {
		t.Errorf("Receive: %v, want ErrEnded", err)
	}
}

func init() {
	children["signalled"] = func() {
		signal.Notify(make(chan os.Signal, 1), unix.SIGUSR1)
		askForever()
	}
}

// Without WAIT_KILLABLE_RECV a signal interrupts the call, which comes again under another ID.
func TestNothingAfterAnInterruption(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, stdin, stdout := launched(t, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, executable, []string{executable}, childEnv+"=signalled")
	c := supervised(t, p, stdin, stdout)
	first := c.receive(t)
	if err := unix.Tgkill(c.PID, first.Task(), unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a notification that was interrupted", func() bool { return !first.Valid() })
	expectGone(t, first, 0)
	second := c.receive(t)
	if diff := cmp.Diff(first.Args(), second.Args()); diff != "" || first.ID() == second.ID() {
		t.Errorf("the call came again as %d after %d, with other arguments:\n%s", second.ID(), first.ID(), diff)
	}
	if err := second.Return(7); err != nil {
		t.Fatal(err)
	}
	if got := c.told(t); got != 7 {
		t.Errorf("the child got %d, want the answer to the second notification", got)
	}
}
