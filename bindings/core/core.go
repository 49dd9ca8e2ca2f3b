// Package core is the face of package sandbox that gopy turns into the Python extension: flat functions over numbers,
// text and bytes. A run is known by its handle; no handler and no Python object ever comes here.
package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/cgo"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
	"sandlock/pkg/limits"
	"sandlock/pkg/sandbox"
	"sandlock/pkg/seccomp"
)

// A run is one command.
type run struct {
	started  atomic.Pointer[sandbox.Process] // nil when it has not started, or could not be executed
	starting starting
	result   *sandbox.Result
	workers  []*worker
	frame    frame
	mapped   sync.RWMutex // held for reading while the frame is in use
	closing  sync.Once    // of this run alone: the end of a tree takes its time, and no other run waits for it
}

func (r *run) process() *sandbox.Process { return r.started.Load() }

// New gives the handle of a run that has not started. It holds nothing yet; Close ends it.
func New() (handle int64, err error) {
	defer recovered(&err)
	return int64(cgo.NewHandle(&run{starting: newStarting()})), nil
}

// Start starts the command of a request, in the given environment (see request.go). The error's text is JSON, see
// fault.go. The caller may be interrupted before it learns what became of it: Close ends whatever has started.
// A run that was killed before does not start.
func Start(handle int64, text, environment string) (started bool, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	mayStart, err := r.starting.enter()
	if err != nil {
		return false, encode(err)
	}
	defer r.starting.leave()
	if !mayStart {
		r.result = &sandbox.Result{ExitCode: -1, Signal: unix.SIGKILL, Reason: sandbox.Killed}
		return false, nil
	}
	q, err := parse(text)
	if err != nil {
		return false, encode(err)
	}
	command := q.command()
	if command.Environ, err = environ(environment); err != nil {
		return false, encode(err)
	}
	if q.pulls() {
		if r.frame, err = newFrame(q.Workers); err != nil {
			return false, encode(err)
		}
	}
	registrations, err := q.registrations()
	if err != nil {
		return false, encode(err)
	}
	s := sandbox.Sandbox{Policy: *q.policy, Handlers: registrations, Narrow: q.Narrow}
	process, result, err := s.Start(command)
	if err != nil {
		return false, encode(err)
	}
	if r.result = result; process == nil {
		return false, nil
	}
	r.started.Store(process)
	if r.starting.killed.Load() { // before Kill could find it
		if err := process.Kill(); err != nil {
			return false, encode(err)
		}
	}
	if q.Timeout != nil {
		process.SetDeadline(time.Now().Add(seconds(q.Timeout)))
	}
	if q.pulls() {
		for i := range q.Workers {
			r.workers = append(r.workers, r.newWorker(i))
		}
	}
	return true, nil
}

// Frame is the descriptor of the memory that the run's workers share with Python, or -1. It stays the run's.
func Frame(handle int64) (fd int, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.process() == nil || len(r.workers) == 0 {
		return -1, nil
	}
	return r.frame.fd, nil
}

// Input is the descriptor of the pipe that the run's input is written to, or -1. It is closed after the last byte.
func Input(handle int64) (fd int, err error) {
	defer recovered(&err)
	if r := lookUp(handle); r.process() != nil {
		return r.process().Input(), nil
	}
	return -1, nil
}

// PID is the process ID of the run's command, or 0 when it could not be executed.
func PID(handle int64) (pid int, err error) {
	defer recovered(&err)
	if r := lookUp(handle); r.process() != nil {
		return r.process().PID, nil
	}
	return 0, nil
}

// Serve feeds and captures the pipes of the run until its tree is gone: true. False says that a signal came, which the
// caller may want to handle before it calls again, or that so many milliseconds are over; 0 is for ever.
func Serve(handle int64, most int) (ended bool, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if !r.starting.awaited() {
		return r.starting.never(), nil
	}
	return r.process() == nil || r.process().Serve(time.Duration(most)*time.Millisecond), nil
}

// Kill ends the run's tree, also one that is about to start. False says that there is none.
func Kill(handle int64) (running bool, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	r.starting.killed.Store(true)
	if r.process() != nil {
		return true, encode(r.process().Kill())
	}
	return false, nil
}

// Signal sends a signal to the run's command, or to the process group that it leads. False says that there was none.
func Signal(handle int64, number int, group bool) (running bool, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.process() == nil {
		return false, nil
	}
	if group {
		return true, encode(r.process().SignalGroup(unix.Signal(number)))
	}
	return true, encode(r.process().Signal(unix.Signal(number)))
}

// Pause stops the run's tree, or lets it go on. False says that there was none.
func Pause(handle int64, paused bool) (running bool, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.process() == nil {
		return false, nil
	}
	if paused {
		return true, encode(r.process().Pause())
	}
	return true, encode(r.process().Resume())
}

// Release lets a command go on that was started held. False says that there was none.
func Release(handle int64) (running bool, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.process() == nil {
		return false, nil
	}
	r.process().Release()
	return true, nil
}

// TakeStream gives a descriptor that is the caller's from now on: its end of one of the command's streams, or -1.
func TakeStream(handle int64, number int) (fd int, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.process() == nil {
		return -1, nil
	}
	return r.process().TakeStream(number), nil
}

// Wake makes Serve return false, as if a signal had come.
func Wake(handle int64) (running bool, err error) {
	defer recovered(&err)
	if r := lookUp(handle); r.process() != nil {
		return true, encode(r.process().Wake())
	}
	return false, nil
}

// Outcome tells how an ended run fared, as JSON; see outcome.
func Outcome(handle int64) (text string, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.process() != nil {
		if r.result, err = r.process().Wait(); err != nil {
			return "", encode(err)
		}
	}
	if r.result == nil {
		return "", encode(errors.New("the run has not started"))
	}
	o := outcome{ExitCode: r.result.ExitCode, Signal: int(r.result.Signal), Reason: int(r.result.Reason),
		Stdout: len(r.result.Stdout), Stderr: len(r.result.Stderr), Limits: r.result.Limits, Exceeded: r.result.Exceeded}
	if r.result.Err != nil {
		o.Error = r.result.Err.Error()
	}
	encoded, err := json.Marshal(o)
	return string(encoded), encode(err)
}

// outcome is a sandbox.Result without the output.
type outcome struct {
	ExitCode int    `json:"exit_code"`
	Signal   int    `json:"signal"`
	Reason   int    `json:"reason"`
	Error    string `json:"error"`
	Stdout   int    `json:"stdout"` // how many bytes Output gives
	Stderr   int    `json:"stderr"`

	Limits   map[string]limits.Mechanism `json:"limits,omitempty"`
	Exceeded string                      `json:"exceeded,omitempty"`
}

// Output is what was captured of stdout (1) or stderr (2), once Outcome has been asked.
func Output(handle int64, stream int) (data []byte, err error) {
	defer recovered(&err)
	r := lookUp(handle)
	if r.result == nil {
		return nil, encode(errors.New("the run has not ended"))
	}
	if stream == 1 {
		return r.result.Stdout, nil
	}
	return r.result.Stderr, nil
}

// Close kills what still runs and frees the run; its handle is void afterwards. Closing again does nothing; a second
// thread that closes, as the one that finishes a run and the garbage collector of Python may, waits for the first.
func Close(handle int64) (closed bool, err error) {
	defer recovered(&err)
	r, ok := find(handle)
	if !ok {
		return false, nil
	}
	r.closing.Do(func() {
		closed, err = true, r.close()
		cgo.Handle(handle).Delete()
	})
	return closed, encode(err)
}

func (r *run) close() (err error) {
	if r.process() != nil {
		err = r.process().Close()
	}
	r.mapped.Lock()
	defer r.mapped.Unlock()
	err = errors.Join(err, r.frame.close())
	r.frame = frame{}
	return err
}

// LandlockABI is the kernel's Landlock version.
func LandlockABI() (abi int, err error) {
	defer recovered(&err)
	abi, err = landlock.ABI()
	return abi, encode(err)
}

// SyscallNumber is the number of a system call on this machine. An unknown name is an error that has the nearest one.
func SyscallNumber(name string) (number int, err error) {
	defer recovered(&err)
	number, err = seccomp.Native().Number(name)
	return number, encode(err)
}

// Syscalls are the system calls of this machine, as JSON: name to number.
func Syscalls() (text string, err error) {
	defer recovered(&err)
	numbers := make(map[string]int)
	for number, name := range seccomp.Native().Syscalls() {
		numbers[name] = number
	}
	encoded, err := json.Marshal(numbers)
	return string(encoded), encode(err)
}

// errOver is what a void handle means: the run was closed, maybe by another thread at this moment.
var errOver = errors.New("the run is over")

// lookUp panics for a void handle, which every function turns into an error.
func lookUp(handle int64) *run {
	r, ok := find(handle)
	if !ok {
		panic(errOver)
	}
	return r
}

// find is lookUp for a handle that may be void.
func find(handle int64) (r *run, ok bool) {
	defer func() {
		if recover() != nil {
			r, ok = nil, false
		}
	}()
	return cgo.Handle(handle).Value().(*run), true
}

// recovered turns a panic into an error: one that crosses into C ends the host.
func recovered(err *error) {
	switch problem := recover(); problem {
	case nil:
	case errOver:
		*err = encode(errOver)
	default:
		*err = encode(fmt.Errorf("internal error: %v", problem))
	}
}
