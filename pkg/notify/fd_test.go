package notify_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

func init() {
	children["use fd"] = useDescriptor
	children["full"] = askWithoutRoom
}

// useDescriptor asks, takes the descriptor of its argument, or the one of the answer, and tells what it is.
func useDescriptor() {
	answer := ask()
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fd = int(answer)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		fmt.Println(fd, err)
		return
	}
	text, err := io.ReadAll(os.NewFile(uintptr(fd), "given"))
	fmt.Println(answer == int64(fd), flags&unix.FD_CLOEXEC != 0, string(text), err)
}

// askWithoutRoom asks when its descriptor table is full.
func askWithoutRoom() {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
		panic(err)
	}
	fmt.Println(ask())
}

// given is a file for a child to read.
func given(t *testing.T) (fd int) {
	t.Helper()
	r, w := pipe(t)
	if _, err := w.WriteString("from the host"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return int(r.Fd())
}

func TestSentDescriptorIsTheAnswer(t *testing.T) {
	for name, flags := range map[string]uint32{"stays open": 0, "close-on-exec": unix.O_CLOEXEC} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t, "use fd", "answer")
			n := c.receive(t)
			number, err := n.SendFD(given(t), flags)
			if err != nil || number < 3 {
				t.Fatalf("SendFD: %d, %v", number, err)
			}
			want := fmt.Sprintln(true, flags != 0, "from the host", nil)
			if diff := cmp.Diff(want, c.rest()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			expectGone(t, n, 0)
		})
	}
}

func TestPlacedDescriptorHasTheGivenNumber(t *testing.T) {
	for name, number := range map[string]int{"a free number": 77, "in the place of another": 0} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t, "use fd", strconv.Itoa(number))
			n := c.receive(t)
			if err := n.PlaceFD(given(t), number, unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			if !n.Valid() {
				t.Error("the call was answered")
			}
			if err := n.Continue(); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintln(false, true, "from the host", nil)
			if diff := cmp.Diff(want, c.rest()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDescriptorThatCannotBeGiven(t *testing.T) {
	c := startChild(t, "full")
	n := c.receive(t)
	fd := given(t)
	if number, err := n.SendFD(fd, 0); !errors.Is(err, unix.EMFILE) {
		t.Errorf("SendFD to a full table: %d, %v; want EMFILE", number, err)
	}
	if err := n.PlaceFD(fd, 1<<20, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("PlaceFD beyond the limit: %v; want EBADF", err)
	}
	if number, err := n.SendFD(1<<20, 0); !errors.Is(err, unix.EBADF) {
		t.Errorf("SendFD of what is not open: %d, %v; want EBADF", number, err)
	}
	// The call still waits.
	if err := n.Return(5); err != nil {
		t.Fatal(err)
	}
	if got := c.told(t); got != 5 {
		t.Errorf("the child got %d, want 5", got)
	}
}

func TestNoDescriptorForWhoIsGone(t *testing.T) {
	for name, over := range map[string]func(*child, *notify.Notification){
		"answered": func(c *child, n *notify.Notification) {
			n.Return(0)
			c.told(t) // it has taken the answer
		},
		"killed": func(c *child, _ *notify.Notification) { c.kill(t) },
		"closed": func(c *child, _ *notify.Notification) { c.listener.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t, "ask")
			n := c.receive(t)
			fd := given(t)
			over(c, n)
			if _, err := n.SendFD(fd, 0); !errors.Is(err, notify.ErrGone) {
				t.Errorf("SendFD: %v, want ErrGone", err)
			}
			if err := n.PlaceFD(fd, 9, 0); !errors.Is(err, notify.ErrGone) {
				t.Errorf("PlaceFD: %v, want ErrGone", err)
			}
		})
	}
}
