package sandbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/limits"
	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
	"sandlock/pkg/supervise"
)

// Sandbox is a policy with the handlers for the calls that need a decision. It may run many commands, also at once.
type Sandbox struct {
	Policy   policy.Policy
	Handlers []Registration
	// Narrow lets what the policy grants be restricted while the command runs: see Process.Narrowing. All that it could
	// restrict is sent to the supervisor then.
	Narrow bool
}

// Registration puts a handler at the end of a system call's chain.
type Registration struct {
	Syscall string // a name, or a number in decimal
	// Handler decides in Go. Without one, the calls that no handler of the chain answers are pulled: see
	// Process.Supervisor. Run pulls nothing, and refuses such a registration.
	Handler supervise.Handler
	// Fallback answers where who pulls does not, and when Timeout is over; see supervise.Chain.
	Fallback supervise.Action
	Timeout  time.Duration
	// Optional leaves the registration out where the policy denies the call. Else that is an error.
	Optional bool
}

// Run runs a command to its end. A context that ends kills it: the result says so, and the error is nil.
func (s *Sandbox) Run(ctx context.Context, command Command) (*Result, error) {
	for _, r := range s.Handlers {
		if r.Handler == nil {
			return nil, &policy.Error{Field: "handlers", Value: r.Syscall, Problem: "has no Handler, and Run pulls nothing",
				Hint: "give it a Handler, or use Start and call Next of the Process's Supervisor"}
		}
	}
	p, result, err := s.Start(command)
	if p == nil {
		return result, err
	}
	deadline, timed := ctx.Deadline()
	if timed {
		p.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() {
		if !timed || !errors.Is(ctx.Err(), context.DeadlineExceeded) { // the deadline is Wait's to keep, and to tell of
			p.Kill()
		}
	})
	defer stop()
	return p.Wait()
}

// explainStep tells what a failure of a step before the command's execution means.
func (s *Sandbox) explainStep(failed *launch.StepError, err error) error {
	err = fmt.Errorf("confine the command: %w", err)
	if failed.Call == unix.SYS_SECCOMP && failed.Errno == unix.EMFILE && s.Policy.MaxOpenFiles != nil {
		return &policy.Error{Field: "max_open_files", Value: *s.Policy.MaxOpenFiles, Cause: err,
			Problem: "is not more than the host has open, where the listener for trapped calls needs a number",
			Hint:    "raise it, close files of the host, or trap no calls"}
	}
	return err
}

// Start starts a command; its Process must be waited for, or closed. A command that is known beforehand not to be
// executable gives a Result and no Process.
//
// Errors: *policy.Error, *seccomp.UnknownSyscallError, *seccomp.DeniedError, *landlock.MissingProtectionError and *NamespaceError before
// anything has started.
func (s *Sandbox) Start(command Command) (*Process, *Result, error) {
	preparation := preparation{process: newProcess()}
	defer preparation.close()
	err := preparation.prepare(s, command)
	if errors.Is(err, errNotOnPath) {
		return nil, notExecuted(fmt.Errorf("cannot execute %w", err), nil, nil), nil
	}
	p := preparation.process
	if err == nil {
		p.launched, err = launch.Start(preparation.spec)
	}
	var failed *launch.StepError
	var refused *launch.NamespaceError
	if errors.As(err, &refused) {
		err = &NamespaceError{refused}
	}
	if errors.As(err, &failed) {
		err = s.explainStep(failed, err)
	}
	if err != nil {
		return nil, nil, errors.Join(err, p.unlimit(), p.closePipes())
	}
	p.PID = p.launched.PID
	if p.watch != nil {
		p.watch.Begin(limits.Tree{Root: p.launched.Reaper, Command: p.PID, Kill: p.Kill,
			Stop: p.throttle, Files: preparation.spec.Files})
	}
	if p.launched.Listener >= 0 {
		listener, err := notify.NewListener(p.launched.Listener)
		if err != nil {
			return nil, nil, errors.Join(err, p.Close())
		}
		if p.narrowing != nil {
			p.narrowing.Begin(p.launched.Reaper, p.PID)
		}
		if p.forks != nil {
			if err := p.forks.Begin(p.launched.Reaper); err != nil {
				return nil, nil, errors.Join(err, listener.Close(), p.Close())
			}
		}
		if p.deputy, err = newDeputy(preparation.spec.Ruleset); err != nil {
			return nil, nil, errors.Join(err, listener.Close(), p.Close())
		}
		if id := preparation.spec.Identity; id != nil {
			p.deputy.ShowAs(id.UID, id.GID)
		}
		if p.network, err = preparation.performNetwork(p.deputy); err != nil {
			return nil, nil, errors.Join(err, listener.Close(), p.deputy.Close(), p.Close())
		}
		p.supervise(supervise.New(listener, preparation.chains, p.launched.Reaper, p.Kill))
	}
	return p, nil, nil
}
