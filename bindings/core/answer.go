package core

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// An answer is a supervise.Action on its way from Python: in a slot, as arguments, or as a list of three numbers in a
// request. python/sandlock/actions.py has the same kinds.
type answer struct {
	kind    uint32
	operand uint32
	value   int64
}

// The kinds of answers, and what operand and value are.
const (
	answerContinue    = iota
	answerErrno       // operand: the errno
	answerReturn      // value: the result
	answerKillGroup   // operand: the signal; value: the process group
	answerKillProcess // operand: the signal; value: the process
	answerPlaceFD     // operand: the number in the child; value: the descriptor
	answerSendFD      // operand: O_CLOEXEC or 0; value: the descriptor
	answerHold
)

func (a answer) action() (supervise.Action, error) {
	switch a.kind {
	case answerContinue:
		return supervise.Continue(), nil
	case answerErrno:
		return supervise.Fail(unix.Errno(a.operand)), nil
	case answerReturn:
		return supervise.Return(a.value), nil
	case answerKillGroup:
		return supervise.Kill(unix.Signal(a.operand), int(a.value)), nil
	case answerKillProcess:
		return supervise.KillProcess(unix.Signal(a.operand), int(a.value)), nil
	case answerPlaceFD:
		return supervise.PlaceFD(int(a.value), int(a.operand), 0), nil
	case answerSendFD:
		return supervise.SendFD(int(a.value), a.operand), nil
	case answerHold:
		return supervise.Hold(), nil
	}
	return supervise.Action{}, fmt.Errorf("answer of kind %d: there is none", a.kind)
}

func (a *answer) UnmarshalJSON(data []byte) error {
	var numbers []int64
	if err := json.Unmarshal(data, &numbers); err != nil {
		return err
	}
	if len(numbers) != 3 {
		return fmt.Errorf("an answer has 3 numbers, not %d", len(numbers))
	}
	kind, operand := numbers[0], numbers[1]
	if kind != int64(uint32(kind)) || operand != int64(uint32(operand)) {
		return fmt.Errorf("an answer's kind %d and operand %d must have 32 bits", kind, operand)
	}
	*a = answer{uint32(kind), uint32(operand), numbers[2]}
	return nil
}

// What the functions that answer give, beside the number of a descriptor that the child got.
const (
	noDescriptor    = -1
	answeredAlready = -2 // by the time limit, by a retirement, or by another thread
	childGone       = -3
)

// told turns what answering gave into a number for Python.
func told(fd int, err error) (int, error) {
	switch {
	case errors.Is(err, supervise.ErrAnswered):
		return answeredAlready, nil
	case errors.Is(err, notify.ErrGone):
		return childGone, nil
	case err != nil:
		return noDescriptor, encode(err)
	}
	return fd, nil
}
