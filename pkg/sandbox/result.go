package sandbox

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/limits"
	"sandlock/pkg/policy"
)

// Reason is how a command came to its end.
type Reason int

const (
	Exited   Reason = iota // it exited
	Signaled               // it died of a signal
	Killed                 // sandlock killed it: Kill, or a handler's answer
	TimedOut               // sandlock killed it when its time was over
)

var reasonNames = map[Reason]string{Exited: "exited", Signaled: "signaled", Killed: "killed", TimedOut: "timed out"}

func (r Reason) String() string { return reasonNames[r] }

// Result is what is left of a command.
type Result struct {
	Reason   Reason
	ExitCode int         // -1 unless Reason is Exited
	Signal   unix.Signal // that ended the command, or 0
	Stdout   []byte      // what a Pipe captured
	Stderr   []byte
	// Err is why the command's file could not be executed, or nil; ExitCode is 127 then.
	Err error
	// Limits says of each limit that the policy sets what has enforced it.
	Limits map[string]limits.Mechanism
	// Exceeded is the limit, by the name of its field, that the tree was killed for, or "".
	Exceeded string
	// Degraded are the protections that the kernel lacks, and that the policy allows to be missing.
	Degraded []policy.Protection
}

// notExecuted is the result of a command that cannot be executed. The shell prints the reason; so do we, for a host
// that shows no more than the output.
func notExecuted(err error, stdout, stderr []byte) *Result {
	return &Result{ExitCode: 127, Stdout: stdout, Stderr: fmt.Appendf(stderr, "sandlock: %v\n", err), Err: err}
}

// explain tells what an errno of execve(2) means here.
func explain(failed *launch.StepError) error {
	hint, known := map[unix.Errno]string{
		unix.ENOENT:  "no such file, or the interpreter that it names is missing",
		unix.EACCES:  "it has no execute permission, or it or its interpreter is not beneath fs_readable or fs_writable",
		unix.E2BIG:   "the arguments and the environment are too long for the kernel (see execve(2): ARG_MAX)",
		unix.ENOEXEC: "it is no program of this machine, and has no #! line",
	}[failed.Errno]
	if !known {
		return fmt.Errorf("cannot %w", failed)
	}
	return fmt.Errorf("cannot %w: %s", failed, hint)
}

// asResult turns how the tree ended into a Result, or an error when sandlock itself failed.
func (p *Process) asResult(status launch.Status) (*Result, error) {
	var failed *launch.StepError
	if errors.As(status.Failure, &failed) {
		if failed.Execute() {
			return notExecuted(explain(failed), p.stdout.data, p.stderr.data), nil
		}
		return nil, fmt.Errorf("confine the command: %w", failed)
	}
	result := &Result{ExitCode: -1, Signal: status.Signal, Stdout: p.stdout.data, Stderr: p.stderr.data,
		Degraded: p.degraded, Limits: p.limits, Exceeded: p.exceeded}
	switch {
	case p.timedOut:
		result.Reason = TimedOut
	case status.Signal == 0:
		result.Reason, result.ExitCode = Exited, status.Code
	case status.Signal == unix.SIGKILL && (p.killed.Load() || p.exceeded != "" || p.supervisor != nil && p.supervisor.Killed()):
		result.Reason = Killed
	default:
		result.Reason = Signaled
	}
	return result, nil
}
