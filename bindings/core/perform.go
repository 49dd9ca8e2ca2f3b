package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/interrupt"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// performed is what a call gave that was performed on a task's behalf: a descriptor, which is Python's from here on, or
// a value, or an errno.
type performed struct {
	FD          int   `json:"fd"` // or -1
	CloseOnExec bool  `json:"close_on_exec"`
	Value       int64 `json:"value"`
	Errno       int   `json:"errno"`
	// Unjudged is the length of the name, in the slot's data, of what is to be judged first; else 0.
	Unjudged int `json:"unjudged"`
	// Waits is true when the call waits for somebody else, and is answered when that is over.
	Waits bool `json:"waits"`
}

// Perform performs the call of a pending notification, with paths in the place of those in the task's memory, and gives
// a performed as JSON. The data of a worker's slot, of the given length, is the paths and, with judging, the names that
// the paths may lead to; each ends with NUL.
func Perform(handle int64, index int, id uint64, length int, judging bool) (text string, err error) {
	defer recovered(&err)
	defer keepFrame(handle)()
	data, n, ok := pending(handle, index, id, length)
	if !ok {
		return "", encode(notify.ErrGone)
	}
	words := strings.Split(string(data[:length]), "\x00")
	count := deputy.Paths(n.Syscall())
	if words = words[:len(words)-1]; len(words) < count {
		return "", encode(fmt.Errorf("%d paths are not enough for system call %d", len(words), n.Syscall()))
	}
	process := lookUp(handle).process()
	var result deputy.Result
	if judging {
		result, err = process.Deputy().PerformJudged(&n, words[count:], words[:count]...)
	} else {
		result, err = process.Deputy().Perform(&n, words[:count]...)
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		result = deputy.Result{FD: -1, Errno: unix.EAGAIN}
	case err != nil:
		return "", encode(err)
	}
	waits := result.Waits()
	if waits {
		process.Deputy().Await(result, func(result deputy.Result) { complete(process.Supervisor(), id, result) })
	}
	encoded, err := json.Marshal(performed{result.FD, result.CloseOnExec, result.Value, int(result.Errno),
		copy(data, result.Unjudged), waits})
	return string(encoded), encode(err)
}

// complete answers a call that has waited, unless its task is gone or has its answer already.
func complete(s *supervise.Supervisor, id uint64, result deputy.Result) {
	if result.FD < 0 {
		s.Complete(id, supervise.Fail(result.Errno))
		return
	}
	defer unix.Close(result.FD)
	flags := uint32(0)
	if result.CloseOnExec {
		flags = unix.O_CLOEXEC
	}
	s.Complete(id, supervise.SendFD(result.FD, flags))
}

// transferred is what a call on a descriptor gave, or why it cannot be performed. The descriptor that it waits for, or -1,
// is Python's from here on, which closes it with CloseAwaited.
type transferred struct {
	Value       int64   `json:"value"`
	Errno       int     `json:"errno"`
	Awaited     int     `json:"awaited"`
	Writing     bool    `json:"writing"`
	Patience    float64 `json:"patience"` // in seconds, 0 for ever
	Unsupported string  `json:"unsupported"`
}

// Transfer performs the call of a pending notification on the task's own descriptor, with that many bytes at most where
// that is not 0, and gives a transferred as JSON.
func Transfer(handle int64, id uint64, most int) (text string, err error) {
	defer recovered(&err)
	process := lookUp(handle).process()
	n, ok := process.Supervisor().Pending(id)
	if !ok {
		return "", encode(notify.ErrGone)
	}
	result, err := process.Deputy().Transfer(&n, most)
	told := transferred{result.Value, int(result.Errno), result.Awaited, result.Writing, result.Patience.Seconds(), ""}
	switch {
	case errors.Is(err, deputy.ErrUnsupported):
		told.Unsupported = err.Error()
	case err != nil:
		return "", encode(err)
	}
	encoded, err := json.Marshal(told)
	return string(encoded), encode(err)
}

// CloseAwaited closes a descriptor that Transfer has given.
func CloseAwaited(fd int) (closed bool, err error) {
	defer recovered(&err)
	interrupt.Close(fd)
	return true, nil
}

// What Signalled gives.
const (
	notSignalled = iota
	maybeSignalled
	surelySignalled
)

// Signalled tells whether a signal waits for the task behind a pending notification, which only its answer lets come.
func Signalled(handle int64, id uint64) (how int, err error) {
	defer recovered(&err)
	n, ok := lookUp(handle).process().Supervisor().Pending(id)
	if !ok {
		return notSignalled, nil
	}
	switch certain, possible := n.Signalled(); {
	case certain:
		return surelySignalled, nil
	case possible:
		return maybeSignalled, nil
	}
	return notSignalled, nil
}

// PathCount is how many paths a call takes that can be performed on a task's behalf, 0 for one that cannot be.
func PathCount(syscall int) (count int, err error) {
	defer recovered(&err)
	return deputy.Paths(syscall), nil
}
