// Package proc asks the kernel about processes: what /proc tells of a task, and when a process has ended.
package proc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Status is a file as of proc_pid_status(5): a line has a name, a colon and values. The first, which is the name that
// the task has chosen, is not looked at; of newlines in it the kernel shows `\n` (proc_task_name in fs/proc/array.c).
type Status string

// ReadStatus reads that of a task. The error is ENOENT or ESRCH when there is none any more.
func ReadStatus(task int) (Status, error) {
	text, err := read("/proc/" + strconv.Itoa(task) + "/status")
	if err != nil {
		return "", fmt.Errorf("read the status of task %d: %w", task, err)
	}
	return Status(text), nil
}

// read is os.ReadFile without the poller's overhead, which is most of the cost where a file is short.
func read(path string) (text []byte, err error) {
	fd, err := retried(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buffer := make([]byte, 4096)
	for {
		count, err := retried(func() (int, error) { return unix.Read(fd, buffer) })
		if err != nil || count == 0 {
			return text, err
		}
		text = append(text, buffer[:count]...)
	}
}

// retried repeats a call that a signal has interrupted: Go's own do.
func retried(call func() (int, error)) (int, error) {
	for {
		if value, err := call(); !errors.Is(err, unix.EINTR) {
			return value, err
		}
	}
}

// Values are those of a line, none where there is no such line.
func (s Status) Values(name string) []string { return strings.Fields(s.line(name)) }

func (s Status) line(name string) string {
	_, line, _ := strings.Cut(string(s), "\n"+name+":")
	line, _, _ = strings.Cut(line, "\n")
	return line
}

// Number is one value of a line.
func (s Status) Number(name string, column, base int) (uint64, error) {
	for value := range strings.FieldsSeq(s.line(name)) {
		if column--; column >= 0 {
			continue
		}
		number, err := strconv.ParseUint(value, base, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s in the status of a task: %w", name, err)
		}
		return number, nil
	}
	return 0, fmt.Errorf("read the status of a task: there is no %s", name)
}

// Lineage is the process of a task, and that process's parent.
func Lineage(task int) (process, parent int, err error) {
	status, err := ReadStatus(task)
	if err != nil {
		return 0, 0, err
	}
	own, err := status.Number("Tgid", 0, 10)
	if err != nil {
		return 0, 0, err
	}
	above, err := status.Number("PPid", 0, 10)
	return int(own), int(above), err
}
