package core

import (
	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// A worker is a Python thread's place in a run, with its slot of the frame.
type worker struct {
	*supervise.Worker
	slot []byte
}

func (r *run) newWorker(i int) *worker {
	return &worker{Worker: r.process.Supervisor().NewWorker(), slot: r.frame.slot(i)}
}

// Next answers the notification in the worker's slot, if there is one, and blocks until the next one is there. False
// says that there will be none. Each worker belongs to one thread, which must come back for its answer to be given.
func Next(handle int64, index int) (more bool, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	w := r.workers[index]
	w.Answer(w.action())
	n := r.process.Supervisor().Next(w.Worker)
	if n == nil {
		return false, nil
	}
	w.present(n)
	return true, nil
}

// present writes a notification into the slot, with Continue as its answer.
func (w *worker) present(n *notify.Notification) {
	native.PutUint64(w.slot[offsetID:], n.ID())
	native.PutUint32(w.slot[offsetTask:], uint32(n.Task()))
	native.PutUint32(w.slot[offsetFlags:], n.Flags())
	native.PutUint32(w.slot[offsetSyscall:], uint32(n.Syscall()))
	native.PutUint32(w.slot[offsetArch:], n.Arch())
	native.PutUint64(w.slot[offsetInstruction:], n.InstructionPointer())
	for i, arg := range n.Args() {
		native.PutUint64(w.slot[offsetArgs+8*i:], arg)
	}
	clear(w.slot[offsetAnswer : offsetAnswer+16])
}

// The kinds of answers, and what operand and value are.
const (
	answerContinue = iota
	answerErrno    // operand: the errno
	answerReturn   // value: the result
	answerKill     // operand: the signal; value: the process group
)

// action is the answer that Python has written. What makes no sense is refused rather than let through.
func (w *worker) action() supervise.Action {
	operand := native.Uint32(w.slot[offsetAnswer+4:])
	value := int64(native.Uint64(w.slot[offsetAnswer+8:]))
	switch native.Uint32(w.slot[offsetAnswer:]) {
	case answerContinue:
		return supervise.Continue()
	case answerErrno:
		return supervise.Fail(unix.Errno(operand))
	case answerReturn:
		return supervise.Return(value)
	case answerKill:
		return supervise.Kill(unix.Signal(operand), int(value))
	}
	return supervise.Kill(unix.SIGKILL, 0)
}

// ReadMemory reads the memory of the task behind a pending notification into the worker's data. It gives the number of
// bytes, which ends at the first page that cannot be read, or -1.
func ReadMemory(handle int64, index int, id, address uint64, length int) (count int, err error) {
	defer recovered(&err)
	w, n, ok := pending(handle, index, id)
	if !ok || length < 0 || length > dataSize {
		return -1, nil
	}
	if count, err := n.Read(w.slot[offsetData:offsetData+length], address); err == nil {
		return count, nil
	}
	return -1, nil
}

// ReadString reads up to a NUL, which it leaves out, and at most limit bytes; -1 where that fails.
func ReadString(handle int64, index int, id, address uint64, limit int) (length int, err error) {
	defer recovered(&err)
	w, n, ok := pending(handle, index, id)
	if !ok || limit < 0 || limit >= dataSize {
		return -1, nil
	}
	if length, err := n.ReadString(w.slot[offsetData:], address, limit); err == nil {
		return length, nil
	}
	return -1, nil
}

// WriteMemory writes the first bytes of the worker's data to the memory of the task behind a pending notification.
func WriteMemory(handle int64, index int, id, address uint64, length int) (done bool, err error) {
	defer recovered(&err)
	w, n, ok := pending(handle, index, id)
	if !ok || length < 0 || length > dataSize {
		return false, nil
	}
	return n.Write(w.slot[offsetData:offsetData+length], address) == nil, nil
}

func pending(handle int64, index int, id uint64) (*worker, notify.Notification, bool) {
	w := lookUp(handle).workers[index]
	n, ok := w.Pending(id)
	return w, n, ok
}
