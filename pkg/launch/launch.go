package launch

// #cgo CFLAGS: -O2 -Wall -Wextra -Werror -fno-stack-protector
// #include "child.h"
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Limit is one resource limit of the command.
type Limit struct {
	Name     string // as setrlimit(2) spells it
	Resource int
	Rlimit   unix.Rlimit
}

// Capabilities are the sets that the command keeps, as capset(2) takes them: the low 32, then the high 32. They must be
// the host's own, or fewer.
type Capabilities [2]unix.CapUserData

// A Cgroup is one for the command. It stays the caller's, unless that dies: then the reaper removes it.
type Cgroup struct {
	Path  string
	Procs int // descriptor of its cgroup.procs
}

// Spec says what to start. Everything in it is decided: nothing is looked up, and nothing has a default, so the zero
// value is no valid Spec. Descriptors stay the caller's.
type Spec struct {
	Path string // the file that execve(2) is given
	// Alternatives are files to try in turn after Path, where execvp(3) would look further along PATH.
	Alternatives []string
	Argv, Env    []string // no string may hold a NUL
	Dir          int      // descriptor of the working directory, or -1 for the host's
	// Files are descriptors that become 0, 1, 2 and so on, at least three; none of them has such a number already.
	Files []int
	// Terminal makes the file that becomes 0 the controlling terminal of the command's session.
	Terminal bool
	// Held stops the command just before execve(2), until Release.
	Held         bool
	Limits       []Limit
	CPUs         *unix.CPUSet // nil leaves the host's
	Cgroup       *Cgroup      // nil leaves the host's
	Capabilities Capabilities
	Unbound      []int // capabilities that leave the bounding set
	// Identity puts the command into a user namespace of its own, nil leaves it in the host's.
	Identity *Identity
	Umask    *uint32 // nil for the host's
	// Personality is personality(2)'s, nil for the host's own.
	Personality *uint32
	// NoHugePages disables transparent huge pages for the command. The command is made with a copy of the host's memory
	// then, because the setting belongs to the memory that it still shares with the host otherwise.
	NoHugePages bool

	Ruleset     int // Landlock ruleset, or -1
	Filter      []unix.SockFilter
	FilterFlags uint
	Nonce       uint64 // lets the calls after the filter through; see seccomp.Spec

	// ReaperRuleset holds nothing but Landlock's signal scope, or is -1: then the end of the tree is found in /proc.
	ReaperRuleset      int
	ReaperRulesetFlags uint
}

// StepError names the step that failed between clone and execve.
type StepError struct {
	Step  string
	Errno unix.Errno // 0 when a handler answered the call without an error and without performing it
	Call  uintptr    // the system call that failed; 0 for the reaper's own work
}

// Execute reports whether it is the command's file that could not be executed; everything before it had worked.
func (e *StepError) Execute() bool { return e.Call == unix.SYS_EXECVE }

func (e *StepError) Error() string {
	if e.Errno == 0 {
		return e.Step
	}
	text := e.Step + ": " + e.Errno.Error()
	if e.Errno == unix.EBUSY { // of seccomp(2) alone
		text += "; there is one listener for a process and its ancestors: inside a sandbox that traps calls no other can"
	}
	return text
}

// Unwrap gives the errno to errors.Is.
func (e *StepError) Unwrap() error { return e.Errno }

// Start starts a command. It returns when the command has a descriptor table of its own, so that the descriptors of
// the Spec may be closed, and just before execve(2): whether that worked is known when the command has ended. A step that
// fails before is a *StepError.
func Start(spec Spec) (*Process, error) {
	for i, fd := range spec.Files {
		if fd < len(spec.Files) {
			return nil, fmt.Errorf("%s: descriptor %d would be overwritten", placing(i), fd)
		}
	}
	reaper := reaperPlan(spec)
	command, marks := commandPlan(spec)
	stepBytes := int(unsafe.Sizeof(C.struct_sandlock_step{}))
	size := 2*stackSize + roundUp(int(unsafe.Sizeof(C.struct_sandlock_launch{}))) +
		roundUp(len(reaper)*stepBytes) + roundUp(len(command)*stepBytes) + planSize(reaper) + planSize(command)
	if spec.Cgroup != nil {
		size += text(spec.Cgroup.Path).size()
	}
	memory, err := newArena(size, spec.NoHugePages)
	if err != nil {
		return nil, err
	}
	reaperStack, commandStack := memory.stack(), memory.stack()
	shared := (*C.struct_sandlock_launch)(memory.take(int(unsafe.Sizeof(C.struct_sandlock_launch{}))))
	shared.reaper_stack, shared.command_stack = reaperStack, commandStack
	shared.reaper = placePlan(memory, reaper)
	shared.command = placePlan(memory, command)
	shared.command.listener_step, shared.command.isolated_step = C.int32_t(marks.listener), C.int32_t(marks.isolated)
	shared.command.tied_step, shared.command.execute_step = C.int32_t(marks.tied), C.int32_t(marks.execute)
	if !spec.NoHugePages {
		shared.command_flags |= unix.CLONE_VM
	}
	if spec.Identity != nil {
		shared.command_flags |= unix.CLONE_NEWUSER
		shared.command.mapped_step, shared.unmapped = 0, 1
	}
	shared.nonce = C.uint64_t(spec.Nonce)
	shared.host_pid, shared.host_thread = C.int32_t(os.Getpid()), C.int32_t(hostThread())
	shared.listener, shared.command_pidfd = -1, -1
	if spec.ReaperRuleset >= 0 {
		shared.contained = 1
	}
	if spec.Held {
		shared.held = 1
	}
	if spec.Cgroup != nil {
		shared.cgroup = C.uint64_t(text(spec.Cgroup.Path).place(memory))
	}

	reaperPID := C.sandlock_start(shared)
	if reaperPID < 0 {
		return nil, errors.Join(fmt.Errorf("start the reaper: %w", unix.Errno(-reaperPID)), memory.free())
	}
	var unmapped error
	if C.sandlock_state(shared) == C.SANDLOCK_UNMAPPED {
		if unmapped = spec.Identity.writeMaps(int(shared.command_pid), int(shared.command_pidfd)); unmapped != nil {
			unmapped = errors.Join(&NamespaceError{unmapped},
				unix.PidfdSendSignal(int(shared.command_pidfd), unix.SIGKILL, nil, 0))
		}
		C.sandlock_mapped(shared)
	}
	p := &Process{
		PID:       int(shared.command_pid),
		Reaper:    int(reaperPID),
		Listener:  int(shared.listener),
		pidfd:     int(shared.command_pidfd),
		reaper:    int(shared.reaper_pidfd),
		contained: spec.ReaperRuleset >= 0,
		shared:    shared,
		memory:    memory,
		plans:     map[C.int32_t][]step{C.SANDLOCK_REAPER: reaper, C.SANDLOCK_COMMAND: command},
	}
	if shared.isolated == 0 { // it never got that far, and is gone
		status, err := p.Wait()
		if p.Listener >= 0 {
			err = errors.Join(err, unix.Close(p.Listener))
		}
		if err == nil {
			err = cmp.Or(unmapped, status.Failure)
		}
		if err == nil { // nothing failed: somebody killed it
			err = fmt.Errorf("start the command: it died of %v", status.Signal)
		}
		return nil, err
	}
	return p, nil
}

// placePlan puts a plan without particular steps into the arena.
func placePlan(a *arena, plan []step) C.struct_sandlock_plan {
	first := (*C.struct_sandlock_step)(a.take(len(plan) * int(unsafe.Sizeof(C.struct_sandlock_step{}))))
	steps := unsafe.Slice(first, len(plan))
	for i, s := range plan {
		steps[i].nr = C.int64_t(s.call)
		for j, arg := range s.args {
			steps[i].args[j] = C.uint64_t(arg.place(a))
		}
	}
	return C.struct_sandlock_plan{
		steps:         first,
		count:         C.int32_t(len(plan)),
		listener_step: -1,
		isolated_step: -1,
		tied_step:     -1,
		execute_step:  -1,
		mapped_step:   -1,
	}
}

// failure says what went wrong before execve, or nil. It is final once the reaper is gone.
func failure(shared *C.struct_sandlock_launch, plans map[C.int32_t][]step) error {
	if shared.failed == C.SANDLOCK_NOBODY {
		return nil
	}
	errno := unix.Errno(shared.failed_errno)
	switch shared.failed_step {
	case C.SANDLOCK_STEP_CLONE:
		if shared.command_flags&unix.CLONE_NEWUSER != 0 {
			return &NamespaceError{errno}
		}
		return &StepError{Step: "start the command", Errno: errno}
	case C.SANDLOCK_STEP_WATCH:
		return &StepError{Step: "watch the host's life", Errno: errno}
	}
	s := plans[shared.failed][shared.failed_step]
	return &StepError{Step: s.name, Errno: errno, Call: s.call}
}
