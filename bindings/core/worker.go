package core

import (
	"encoding/json"

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
	return &worker{Worker: r.process().Supervisor().NewWorker(), slot: r.frame.slot(i)}
}

// Next answers the notification in the worker's slot, if there is one, and blocks until the next one is there. False
// says that there will be none. Each worker belongs to one thread, which must come back for its answer to be given.
func Next(handle int64, index int) (more bool, err error) {
	defer recovered(&err)
	r, ok := find(handle)
	if !ok {
		return false, nil // closed meanwhile
	}
	w := r.workers[index]
	if !r.answer(w) {
		return false, nil
	}
	n := r.process().Supervisor().Next(w.Worker)
	return n != nil && r.present(w, n), nil
}

// Settle answers the notification in the worker's slot now. It gives the number of a descriptor that the child got, or
// one of the constants of told.
func Settle(handle int64, index int) (fd int, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	w := r.workers[index]
	if !r.answer(w) {
		return answeredAlready, nil
	}
	return told(r.process().Supervisor().Settle(w.Worker))
}

// Detach frees the worker for the next notification; Complete answers this one.
func Detach(handle int64, index int) (done bool, err error) {
	defer recovered(&err)
	lookUp(handle).workers[index].Detach()
	return true, nil
}

// Complete answers a notification by its ID, whoever it is with. The result is as for Settle.
func Complete(handle int64, id uint64, kind, operand int, value int64) (fd int, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.process() == nil {
		return answeredAlready, nil
	}
	action, err := answer{uint32(kind), uint32(operand), value}.action()
	if err != nil {
		return noDescriptor, encode(err)
	}
	return told(r.process().Supervisor().Complete(id, action))
}

// Limit starts the time limit of a pending notification anew, for a stage of its decision: should the time run out, this
// action answers. 0 seconds is for ever. False says that it is answered already.
func Limit(handle int64, id uint64, stage int, limit float64, kind, operand int, value int64) (waits bool, err error) {
	defer recovered(&err)
	fallback, err := answer{uint32(kind), uint32(operand), value}.action()
	if err != nil {
		return false, encode(err)
	}
	r := lookUp(handle)
	return r.process() != nil && r.process().Supervisor().Limit(id, stage, seconds(&limit), fallback), nil
}

// Held gives the IDs of the notifications that wait for an answer from Python, as JSON.
func Held(handle int64) (text string, err error) {
	defer recovered(&err)
	ids := []uint64{}
	if r := lookUp(handle); r.process() != nil && r.process().Supervisor() != nil {
		ids = append(ids, r.process().Supervisor().Held()...)
	}
	encoded, err := json.Marshal(ids)
	return string(encoded), encode(err)
}

// Expired gives what took longer than its limit, as JSON: lists of ID, system call, task and stage, and how many more
// there were.
func Expired(handle int64) (text string, err error) {
	defer recovered(&err)
	late := struct {
		First [][4]uint64 `json:"first"`
		More  int         `json:"more"`
	}{First: [][4]uint64{}}
	if r := lookUp(handle); r.process() != nil && r.process().Supervisor() != nil {
		late.More = r.process().Supervisor().MoreExpired()
		for _, e := range r.process().Supervisor().Expired() {
			late.First = append(late.First, [4]uint64{e.ID, uint64(e.Syscall), uint64(e.Task), uint64(e.Stage)})
		}
	}
	encoded, err := json.Marshal(late)
	return string(encoded), encode(err)
}

// Abandon answers with the constant actions in Python's place from now on, and sends the workers home.
func Abandon(handle int64) (done bool, err error) {
	defer recovered(&err)
	if r := lookUp(handle); r.process() != nil && r.process().Supervisor() != nil {
		return true, encode(r.process().Supervisor().Abandon())
	}
	return false, nil
}

// answer takes the answer out of the worker's slot. False says that the run was closed meanwhile.
func (r *run) answer(w *worker) bool {
	r.mapped.RLock()
	defer r.mapped.RUnlock()
	if r.frame.memory == nil {
		return false
	}
	w.Answer(w.action())
	return true
}

// present writes a notification into the worker's slot, with Continue as its answer. False says that the run was closed
// meanwhile.
func (r *run) present(w *worker, n *notify.Notification) bool {
	r.mapped.RLock()
	defer r.mapped.RUnlock()
	if r.frame.memory == nil {
		return false
	}
	native.PutUint64(w.slot[offsetID:], n.ID())
	native.PutUint32(w.slot[offsetTask:], uint32(n.Task()))
	native.PutUint32(w.slot[offsetFlags:], n.Flags())
	native.PutUint32(w.slot[offsetSyscall:], uint32(n.Syscall()))
	native.PutUint32(w.slot[offsetArch:], n.Arch())
	native.PutUint64(w.slot[offsetInstruction:], n.InstructionPointer())
	for i, arg := range n.Args() {
		native.PutUint64(w.slot[offsetArgs+8*i:], arg)
	}
	last := uint32(0)
	if w.Last() {
		last = 1
	}
	native.PutUint32(w.slot[offsetLast:], last)
	clear(w.slot[offsetAnswer : offsetAnswer+16])
	return true
}

// action is the answer that Python has written. What makes no sense is refused rather than let through.
func (w *worker) action() supervise.Action {
	action, err := answer{
		kind:    native.Uint32(w.slot[offsetAnswer:]),
		operand: native.Uint32(w.slot[offsetAnswer+4:]),
		value:   int64(native.Uint64(w.slot[offsetAnswer+8:])),
	}.action()
	if err != nil {
		return supervise.Kill(unix.SIGKILL, 0)
	}
	return action
}
