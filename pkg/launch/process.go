package launch

// #include "child.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
)

// A Process is a started command with its reaper. Its methods may not be called at the same time, nor after Wait,
// except for Signal, which may be called until Wait.
type Process struct {
	PID      int // of the command, which leads its own session and process group
	Reaper   int // the parent of the command and of every orphan of its tree
	Listener int // the seccomp listener, owned by the caller, or -1

	pidfd     int
	reaper    int
	contained bool // the reaper's signals reach the tree and nothing else
	shared    *C.struct_sandlock_launch
	memory    *arena
	plans     map[C.int32_t][]step
}

// Status is how a command ended.
type Status struct {
	Code   int         // exit code, when Signal is 0
	Signal unix.Signal // that killed the command, or 0
	// Failure is why the command's file was never executed, a *StepError; Code is 127 then.
	Failure error
}

// Ended is a descriptor that poll(2) finds readable once nothing of the tree is left, so that Wait does not block. It
// stays the Process's. (It is the reaper's: a host that woke for the command's end as well would sleep a second time.)
func (p *Process) Ended() int { return p.reaper }

// Signal sends a signal to the command; the error is unix.ESRCH when it is gone. A command that dies takes its whole
// tree with it.
func (p *Process) Signal(signal unix.Signal) error {
	if p.pidfd < 0 {
		return fmt.Errorf("signal the command: %w", unix.ESRCH)
	}
	if err := unix.PidfdSendSignal(p.pidfd, signal, nil, 0); err != nil {
		return fmt.Errorf("signal the command: %w", err)
	}
	return nil
}

// SignalGroup sends a signal to the process group that the command leads, as a terminal does. A command that is gone is
// left alone.
func (p *Process) SignalGroup(signal unix.Signal) error { return p.order(-p.PID, signal) }

// SignalTree sends a signal to every process of the tree. With the signal scope it is sent to all at once, and a process
// that is about to fork takes it along; without it, processes that keep forking may escape.
func (p *Process) SignalTree(signal unix.Signal) error {
	if p.contained {
		return p.order(-1, signal)
	}
	return signalDescendants(p.Reaper, signal)
}

// order has the reaper send a signal: to the reaper no number of the tree can have become somebody else's.
func (p *Process) order(target int, signal unix.Signal) error {
	result := C.sandlock_order(p.shared, C.int(target), C.int(signal))
	if err := unix.Errno(-result); result < 0 && err != unix.ESRCH {
		return fmt.Errorf("have the reaper send %v: %w", signal, err)
	}
	return nil
}

// Release lets a command that is Held go on.
func (p *Process) Release() { C.sandlock_release(p.shared) }

// Wait blocks until nothing of the tree is left, and frees everything but the listener.
func (p *Process) Wait() (Status, error) {
	var err error
	// The kernel has no waitid for a child without exit signal unless it is asked for all children.
	for {
		err = unix.Waitid(unix.P_PIDFD, p.reaper, nil, unix.WEXITED|unix.WALL, nil)
		if err == nil || errors.Is(err, unix.ECHILD) { // somebody has waited for all children
			err = nil
			break
		}
		if !errors.Is(err, unix.EINTR) {
			err = errors.Join(fmt.Errorf("wait for the reaper: %w", err), proc.AwaitEnd(p.reaper))
			break
		}
	}
	status, memory := Status{Failure: failure(p.shared, p.plans)}, p.memory
	switch {
	case p.shared.exit_code == 0: // the reaper was killed, and the command with it
		status.Signal = unix.SIGKILL
		made, unknown := p.commandMade()
		if unknown != nil { // the memory may be in use, and the number of the pidfd another file's
			memory = nil
		}
		if made {
			err = errors.Join(err, p.endCommand())
		} else {
			p.pidfd = -1
		}
	case p.shared.exit_code == cldExited:
		status.Code = int(p.shared.exit_status)
	default:
		status.Signal = unix.Signal(p.shared.exit_status)
	}
	if status.Failure != nil {
		status.Code, status.Signal = 127, 0
	}
	if memory != nil {
		err = errors.Join(err, memory.free())
	}
	for _, fd := range []int{p.pidfd, p.reaper} {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return status, err
}

// commandMade reports whether a reaper that was killed has made a command. If it was killed while it did, all that it has
// left is a number, which is that of the command's pidfd, or of whatever else was opened there since.
func (p *Process) commandMade() (bool, error) {
	if p.pidfd < 0 || p.shared.command_pid != 0 { // which the command tells when it first runs
		return p.pidfd >= 0, nil
	}
	pid, err := pidOf(p.pidfd)
	if pid <= 0 || err != nil {
		return false, err
	}
	// Only a command that has not run yet is in its reaper's session still, and nobody else ever is.
	session, err := unix.Getsid(pid)
	if errors.Is(err, unix.ESRCH) {
		err = nil
	}
	return session == p.Reaper || p.shared.command_pid != 0, err
}

// pidOf is the process of a pidfd, or 0 when the descriptor is none. See proc_pid_fdinfo(5).
func pidOf(fd int) (int, error) {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "Pid:"); found {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, err
}

// endCommand sees to it that the command no longer uses the host's memory when its reaper could not.
func (p *Process) endCommand() error {
	if err := p.Signal(unix.SIGKILL); errors.Is(err, unix.ESRCH) {
		return nil
	} else if err != nil {
		return err
	}
	if err := proc.AwaitEnd(p.pidfd); err != nil {
		return fmt.Errorf("wait for the command: %w", err)
	}
	return nil
}

// cldExited is CLD_EXITED of waitid(2)'s si_code; the other codes that it gives here mean death by a signal.
const cldExited = 1
