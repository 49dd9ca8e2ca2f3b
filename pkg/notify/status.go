package notify

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
)

// A Status is what proc(5) tells about a task that waits.
type Status struct {
	Process  int
	UID, GID int // of the real user
	threads  int
	// Sets of signals: pending for the task, for its process, and what it blocks.
	pending, shared, blocked uint64
}

// Status reads it. The task may be gone by now, and its number another one's: see Valid.
func (n *Notification) Status() (Status, error) { return statusOf(n.Task()) }

// Signalled reports whether a signal waits for the task to come back, which the kernel keeps waiting: a filter with
// WAIT_KILLABLE_RECV lets no signal but a fatal one interrupt a call that was received. Certain is false for one to the
// whole process that another of its threads may take.
func (n *Notification) Signalled() (certain, possible bool) {
	s, err := n.Status()
	if err != nil {
		return false, false // dying: Valid will tell
	}
	var others []Status
	if s.threads > 1 && s.shared != 0 {
		others = s.beside(n.Task())
	}
	return s.signalled(others)
}

// BreakPipe signals the task as the kernel does when nobody reads what it writes.
func (n *Notification) BreakPipe() error {
	s, err := n.Status()
	if err != nil || !n.Valid() {
		return nil // gone already
	}
	return unix.Tgkill(s.Process, n.Task(), unix.SIGPIPE)
}

func statusOf(task int) (Status, error) {
	text, err := proc.ReadStatus(task)
	if err != nil {
		return Status{}, err
	}
	return parseStatus(text)
}

func parseStatus(text proc.Status) (s Status, err error) {
	number := func(name string, base int) uint64 {
		value, failed := text.Number(name, 0, base)
		if failed != nil {
			err = failed
		}
		return value
	}
	s.Process, s.threads = int(number("Tgid", 10)), int(number("Threads", 10))
	s.UID, s.GID = int(number("Uid", 10)), int(number("Gid", 10))
	s.pending, s.shared, s.blocked = number("SigPnd", 16), number("ShdPnd", 16), number("SigBlk", 16)
	return s, err
}

// signalled reports whether a signal waits for the task to come back, and whether that is certain: one for the whole
// process is another thread's to take, if there is one that does not block it.
func (s Status) signalled(others []Status) (certain, possible bool) {
	shared := s.shared &^ s.blocked
	mine := shared
	for _, other := range others {
		mine &= other.blocked
	}
	return s.pending&^s.blocked != 0 || mine != 0, shared != 0
}

// beside gives the other threads of a task's process. One that ends meanwhile is left out.
func (s Status) beside(task int) []Status {
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(s.Process) + "/task")
	if err != nil {
		return nil // the process is gone
	}
	var others []Status
	for _, entry := range entries {
		other, err := strconv.Atoi(entry.Name())
		if err != nil || other == task {
			continue
		}
		if status, err := statusOf(other); err == nil && status.Process == s.Process {
			others = append(others, status)
		}
	}
	return others
}
