package core

import (
	"encoding/json"
	"errors"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/notify"
)

// performed is what a call gave that was performed on a task's behalf: a descriptor, which is Python's from here on, or
// a value, or an errno.
type performed struct {
	FD          int   `json:"fd"` // or -1
	CloseOnExec bool  `json:"close_on_exec"`
	Value       int64 `json:"value"`
	Errno       int   `json:"errno"`
}

// Perform performs the call of a pending notification, with paths in the place of those in the task's memory, and gives
// a performed as JSON. The paths are the data of a worker's slot: the first has the given length, the second, for
// calls with two (otherwise -1), follows it.
func Perform(handle int64, index int, id uint64, first, second int) (text string, err error) {
	defer recovered(&err)
	data, n, ok := pending(handle, index, id, first+max(second, 0))
	if !ok {
		return "", encode(notify.ErrGone)
	}
	paths := []string{string(data[:first])}
	if second >= 0 {
		paths = append(paths, string(data[first:first+second]))
	}
	result, err := lookUp(handle).process.Deputy().Perform(&n, paths...)
	switch {
	case errors.Is(err, unix.EAGAIN):
		result = deputy.Result{FD: -1, Errno: unix.EAGAIN}
	case err != nil:
		return "", encode(err)
	}
	encoded, err := json.Marshal(performed{result.FD, result.CloseOnExec, result.Value, int(result.Errno)})
	return string(encoded), encode(err)
}

// PathCount is how many paths a call takes that can be performed on a task's behalf, 0 for one that cannot be.
func PathCount(syscall int) (count int, err error) {
	defer recovered(&err)
	return deputy.Paths(syscall), nil
}
