package netcall

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A status is what proc(5) tells about a task that waits.
type status struct {
	credentials // of the real user
	threads     int
	// Sets of signals: pending for the task, for its process, and what it blocks.
	pending, shared, blocked uint64
}

func statusOf(task int) (status, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(task) + "/status")
	if err != nil {
		return status{}, err
	}
	return parseStatus(string(text))
}

func parseStatus(text string) (s status, err error) {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.TrimSpace(value)
	}
	number := func(name string, base int) uint64 {
		first, _, _ := strings.Cut(fields[name], "\t")
		value, failed := strconv.ParseUint(first, base, 64)
		if failed != nil {
			err = fmt.Errorf("read %s of a task: %w", name, failed)
		}
		return value
	}
	s.process, s.threads = int(number("Tgid", 10)), int(number("Threads", 10))
	s.uid, s.gid = int(number("Uid", 10)), int(number("Gid", 10))
	s.pending, s.shared, s.blocked = number("SigPnd", 16), number("ShdPnd", 16), number("SigBlk", 16)
	return s, err
}

// signalled reports whether a signal waits for the task to come back, and whether that is certain: one for the whole
// process is another thread's to take, if there is one that does not block it.
func (s status) signalled(others []status) (certain, possible bool) {
	shared := s.shared &^ s.blocked
	mine := shared
	for _, other := range others {
		mine &= other.blocked
	}
	return s.pending&^s.blocked != 0 || mine != 0, shared != 0
}

// beside gives the other threads of a task's process. One that ends meanwhile is left out.
func (s status) beside(task int) []status {
	folder := "/proc/" + strconv.Itoa(s.process) + "/task"
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil // the process is gone
	}
	var others []status
	for _, entry := range entries {
		if entry.Name() == strconv.Itoa(task) {
			continue
		}
		text, err := os.ReadFile(folder + "/" + entry.Name() + "/status")
		if err != nil {
			continue
		}
		if other, err := parseStatus(string(text)); err == nil {
			others = append(others, other)
		}
	}
	return others
}
