package supervise_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

func init() {
	children["read"] = readDescriptor
	children["full"] = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{}); err != nil {
			panic(err)
		}
		fmt.Println(ask("ppid", 1))
	}
}

// readDescriptor asks, and reads from the descriptor of its argument or of the answer.
func readDescriptor() {
	answer := ask("ppid", 1)
	fd, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fd = int(answer)
	}
	text, err := io.ReadAll(os.NewFile(uintptr(fd), "given"))
	fmt.Println(string(text), err)
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

func TestSentDescriptor(t *testing.T) {
	fd := given(t)
	c, served := answering(t, "read", always(supervise.SendFD(fd, unix.O_CLOEXEC)), "answer")
	c.expectAnswers(t, "from the host <nil>")
	served()
	c.closeWithout(t)
}

func TestPlacedDescriptor(t *testing.T) {
	fd := given(t)
	c, served := answering(t, "read", always(supervise.PlaceFD(fd, 99, 0)), "99")
	c.expectAnswers(t, "from the host <nil>")
	served()
	c.closeWithout(t)
}

// The worker learns the number that the child got.
func TestSettleTellsTheNumber(t *testing.T) {
	for name, test := range map[string]struct {
		action func(fd int) supervise.Action
		want   func(fd int) bool
	}{
		"sent":   {func(fd int) supervise.Action { return supervise.SendFD(fd, 0) }, func(fd int) bool { return fd >= 3 }},
		"placed": {func(fd int) supervise.Action { return supervise.PlaceFD(fd, 55, 0) }, func(fd int) bool { return fd == 55 }},
		"none":   {func(int) supervise.Action { return supervise.Return(7) }, func(fd int) bool { return fd == -1 }},
	} {
		t.Run(name, func(t *testing.T) {
			c := asking(t, chains{"ppid": pulled}, "ppid:1")
			w := c.NewWorker()
			c.Next(w)
			w.Answer(test.action(given(t)))
			if fd, err := c.Settle(w); !test.want(fd) || err != nil {
				t.Errorf("%d, %v", fd, err)
			}
			if fd, err := c.Settle(w); fd != -1 || err != nil {
				t.Errorf("settled twice: %d, %v", fd, err)
			}
		})
	}
}

// What cannot be given is an errno for the task: the call must not go on unmediated.
func TestDescriptorThatCannotBeGivenFailsTheCall(t *testing.T) {
	for name, test := range map[string]struct {
		action func(fd int) supervise.Action
		errno  unix.Errno
	}{
		"the task's table is full":      {func(fd int) supervise.Action { return supervise.SendFD(fd, 0) }, unix.EMFILE},
		"a number beyond its limit":     {func(fd int) supervise.Action { return supervise.PlaceFD(fd, 1<<20, 0) }, unix.EBADF},
		"no descriptor of ours":         {func(int) supervise.Action { return supervise.SendFD(1<<20, 0) }, unix.EBADF},
		"flags that the kernel has not": {func(fd int) supervise.Action { return supervise.SendFD(fd, 1) }, unix.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			c, served := answering(t, "full", always(test.action(given(t))))
			c.expectAnswers(t, strconv.Itoa(-int(test.errno)))
			served()
			if err := c.Close(); err == nil || !strings.Contains(err.Error(), test.errno.Error()) {
				t.Errorf("%v does not tell %v", err, test.errno)
			}
		})
	}
}

func TestDescriptorForWhoIsGone(t *testing.T) {
	c := asking(t, chains{"ppid": pulled}, "ppid:1")
	w := c.NewWorker()
	c.Next(w)
	c.kill(t)
	w.Answer(supervise.SendFD(given(t), 0))
	if fd, err := c.Settle(w); fd != -1 || !errors.Is(err, notify.ErrGone) {
		t.Errorf("%d, %v; want ErrGone", fd, err)
	}
	c.closeWithout(t)
}
