package notify_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/seccomp"
)

func TestAnswers(t *testing.T) {
	c := startChild(t, "ask")
	returned := func(value int64) func(*notify.Notification) error {
		return func(n *notify.Notification) error { return n.Return(value) }
	}
	failed := func(errno unix.Errno) func(*notify.Notification) error {
		return func(n *notify.Notification) error { return n.Fail(errno) }
	}
	for _, test := range []struct {
		name   string
		answer func(*notify.Notification) error
		want   int64
	}{
		{"continue", (*notify.Notification).Continue, int64(c.Reaper)},
		{"an errno", failed(unix.EXDEV), -int64(unix.EXDEV)},
		{"the first errno", failed(1), -1},
		{"the last errno", failed(4095), -4095},
		{"zero", returned(0), 0},
		{"a number", returned(42), 42},
		{"more than 32 bits", returned(1<<40 + 1), 1<<40 + 1},
		{"the largest", returned(math.MaxInt64), math.MaxInt64},
		{"a negative that is an errno", returned(-int64(unix.EIO)), -int64(unix.EIO)},
		{"a negative of 32 bits", returned(-1 << 31), -1 << 31},
		{"a negative of 64 bits", returned(-1<<40 - 1), -1<<40 - 1},
		{"the smallest", returned(math.MinInt64), math.MinInt64},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.answer(c.receive(t)); err != nil {
				t.Fatal(err)
			}
			if got := c.told(t); got != test.want {
				t.Errorf("the child got %d, want %d", got, test.want)
			}
		})
	}
}

func TestSecondAnswerIsDropped(t *testing.T) {
	c := startChild(t, "ask")
	n := c.receive(t)
	for answer := range int64(3) {
		if err := n.Return(answer); err != nil {
			t.Errorf("answer %d: %v", answer, err)
		}
	}
	if got := c.told(t); got != 0 {
		t.Errorf("the child got answer %d, not the first one", got)
	}
}

func TestNotificationDescribesTheCall(t *testing.T) {
	c := startChild(t, "ask")
	n := c.receive(t)
	type call struct {
		Syscall int
		Arch    seccomp.Arch
		Args    [6]uint64
		Flags   uint32
		Process int
	}
	process, err := unix.Getpgid(n.Task()) // the command leads a group of its own
	if err != nil {
		t.Fatal(err)
	}
	want := call{unix.SYS_GETPPID, seccomp.Native(), [6]uint64{1, 2, 3, 4, 5, 1 << 63}, 0, c.PID}
	got := call{n.Syscall(), seccomp.Arch(n.Arch()), n.Args(), n.Flags(), process}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// The address is that of the instruction after the call, so that the call itself can be read before it.
	var instruction [4]byte
	if _, err := n.Read(instruction[:], n.InstructionPointer()-4); err != nil {
		t.Errorf("the code before the instruction pointer: %v", err)
	}
	if !n.Valid() || n.ID() == 0 {
		t.Errorf("notification %d is valid: %v", n.ID(), n.Valid())
	}
}
