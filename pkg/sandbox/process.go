package sandbox

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/determinism"
	"sandlock/pkg/launch"
	"sandlock/pkg/limits"
	"sandlock/pkg/netcall"
	"sandlock/pkg/network"
	"sandlock/pkg/policy"
	"sandlock/pkg/supervise"
)

// A Process is a running command. SetDeadline is for its caller's first breath; the other methods may be called from
// anywhere, and of those that wait one at a time does.
type Process struct {
	PID int // of the command, which leads its own session and process group

	serving        sync.Mutex // held by who serves the pipes and waits for the end
	stdin          feed
	stdout, stderr capture
	deadline       time.Time
	timedOut       bool
	killed         atomic.Bool
	wakeup         int // an eventfd: readable after Wake
	limits         map[string]limits.Mechanism
	forks          *limits.Forks // nil without max_processes
	watch          *limits.Watch // nil when there is nothing to watch
	group          *limits.Group // nil where there is none
	exceeded       string

	degraded    []policy.Protection
	determinism *determinism.Run // nil where nothing is asked of it
	supervisor  *supervise.Supervisor
	deputy      *deputy.Deputy     // beside the supervisor
	narrowing   *network.Narrowing // nil unless it was asked for
	network     *netcall.Performer // inside the deputy's domain; nil without rules for it
	served      chan struct{}      // closed when the supervisor's own thread is done; nil without one

	ordering  sync.Mutex // held by who waits for the reaper to carry out an order, which keeps no Kill waiting
	paused    bool       // by the user
	throttled bool       // by the limit of CPU time

	mu       sync.Mutex      // guards what follows, and the number of stdin; taken after ordering
	streams  [3]int          // ends of Streams that nobody has taken
	launched *launch.Process // set to nil with ordering and mu held
	result   *Result
	err      error
}

func newProcess() *Process {
	return &Process{stdin: feed{fd: -1}, stdout: capture{fd: -1}, stderr: capture{fd: -1}, wakeup: -1,
		streams: [3]int{-1, -1, -1}}
}

// supervise starts answering. Where notifications are pulled, whoever pulls answers; else a thread of the Process does.
func (p *Process) supervise(s *supervise.Supervisor) {
	p.supervisor = s
	if s.Pulled() {
		return
	}
	p.served = make(chan struct{})
	go func() {
		defer close(p.served)
		s.Serve()
	}()
}

// Supervisor answers the notifications, or is nil when no handler is registered. Where a registration has no Handler,
// threads must call its Next until it returns nil.
func (p *Process) Supervisor() *supervise.Supervisor { return p.supervisor }

// Degraded are the protections that the kernel lacks, and that the policy allows to be missing.
func (p *Process) Degraded() []policy.Protection { return p.degraded }

// Deputy performs path calls on behalf of the command's tasks; nil when no handler is registered.
func (p *Process) Deputy() *deputy.Deputy { return p.deputy }

// Input is the descriptor of the pipe that Serve writes the command's input to, or -1. Another process that has it open,
// because it was forked meanwhile, keeps the command from seeing its end.
func (p *Process) Input() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdin.fd
}

// SetDeadline says when Wait kills the command.
func (p *Process) SetDeadline(t time.Time) { p.deadline = t }

// Kill ends the command and its whole tree. It does not wait, and does nothing to a command that has ended.
func (p *Process) Kill() error {
	p.killed.Store(true)
	return p.Signal(unix.SIGKILL)
}

// Signal sends a signal to the command; one that has ended is left alone.
func (p *Process) Signal(signal unix.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.send(signal, (*launch.Process).Signal)
}

// SignalGroup sends a signal to the process group that the command leads, as a terminal does.
func (p *Process) SignalGroup(signal unix.Signal) error {
	p.ordering.Lock()
	defer p.ordering.Unlock()
	return p.send(signal, (*launch.Process).SignalGroup)
}

// Pause stops the whole tree; Resume lets it go on.
func (p *Process) Pause() error { return p.stop(&p.paused, true) }

// Resume lets a tree go on that was stopped.
func (p *Process) Resume() error { return p.stop(&p.paused, false) }

// throttle is Pause and Resume for the limit of CPU time.
func (p *Process) throttle(stopped bool) error { return p.stop(&p.throttled, stopped) }

// stop stops the tree for one of two reasons, or lets it go on when there is none any more.
func (p *Process) stop(reason *bool, stopped bool) error {
	p.ordering.Lock()
	defer p.ordering.Unlock()
	*reason = stopped
	signal := unix.SIGCONT
	if p.paused || p.throttled {
		signal = unix.SIGSTOP
	}
	return p.send(signal, (*launch.Process).SignalTree)
}

// send is for who holds ordering or mu.
func (p *Process) send(signal unix.Signal, to func(*launch.Process, unix.Signal) error) error {
	if p.launched == nil {
		return nil
	}
	if err := to(p.launched, signal); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// Release lets a command that is Held go on.
func (p *Process) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.launched != nil {
		p.launched.Release()
	}
}

// TakeStream gives the end of a Stream, 0 for stdin to 2 for stderr, which is the caller's from now on; -1 where there
// is none, or not any more. What nobody takes is closed with the Process.
func (p *Process) TakeStream(number int) (fd int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fd, p.streams[number] = p.streams[number], -1
	return fd
}

// Wake makes Serve return false, now and from now on, while the command runs.
func (p *Process) Wake() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.launched == nil {
		return nil
	}
	one := [8]byte{1}
	if _, err := unix.Write(p.wakeup, one[:]); err != nil {
		return fmt.Errorf("wake the process's thread: %w", err)
	}
	return nil
}

// Wait feeds and captures the pipes until nothing of the tree is left. The error is sandlock's own; how the command
// fared is in the Result. A second Wait gives the same.
func (p *Process) Wait() (*Result, error) {
	for !p.Serve(0) {
	}
	return p.result, p.err
}

// Serve is Wait for callers with signal handlers to run: it returns false when a signal has interrupted it, and true
// when Wait would return at once. It also returns false when it has taken as long as it may; 0 is for ever. A signal
// interrupts nothing when it comes before the thread sleeps, or to another thread.
func (p *Process) Serve(most time.Duration) (over bool) {
	p.serving.Lock()
	defer p.serving.Unlock()
	if p.launched == nil {
		return true
	}
	ended := p.launched.Ended()
	var until time.Time
	if most > 0 {
		until = time.Now().Add(most)
	}
	for most == 0 || time.Now().Before(until) {
		watched := []unix.PollFd{{Fd: int32(ended), Events: unix.POLLIN},
			{Fd: int32(p.stdout.fd), Events: unix.POLLIN},
			{Fd: int32(p.stderr.fd), Events: unix.POLLIN},
			{Fd: int32(p.stdin.fd), Events: unix.POLLOUT},
			{Fd: int32(p.wakeup), Events: unix.POLLIN}} // poll(2) ignores negative descriptors
		_, err := unix.Poll(watched, p.patience(until))
		if errors.Is(err, unix.EINTR) {
			return false
		}
		if err != nil {
			p.note(errors.Join(fmt.Errorf("wait for the command: %w", err), p.Kill()))
			p.finish()
			return true
		}
		if watched[0].Revents != 0 {
			p.finish()
			return true
		}
		if watched[1].Revents != 0 {
			p.note(p.stdout.read())
		}
		if watched[2].Revents != 0 {
			p.note(p.stderr.read())
		}
		if watched[3].Revents != 0 {
			p.note(p.feedInput())
		}
		if watched[4].Revents != 0 {
			return false
		}
	}
	return false
}

func (p *Process) feedInput() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdin.write()
}

func (p *Process) note(err error) { p.err = errors.Join(p.err, err) }

// patience is the time to the deadline, or to an earlier moment, in milliseconds; -1 is for ever. At the deadline it
// kills, once.
func (p *Process) patience(until time.Time) int {
	if next := p.deadline; !next.IsZero() && !p.timedOut {
		if time.Until(next) <= 0 {
			p.timedOut = true
			p.note(p.Kill())
		} else if until.IsZero() || next.Before(until) {
			until = next
		}
	}
	if until.IsZero() {
		return -1
	}
	left := max(0, min(time.Until(until), time.Hour))
	return int(left/time.Millisecond) + 1
}

// finish waits for the tree's end and frees everything.
func (p *Process) finish() {
	p.ordering.Lock()
	p.mu.Lock()
	status, err := p.launched.Wait()
	p.launched = nil
	p.mu.Unlock()
	p.ordering.Unlock()
	p.note(err)
	if p.supervisor != nil {
		p.note(p.supervisor.Close())
		if p.network != nil {
			p.note(p.network.Close())
		}
		if p.forks != nil {
			p.note(p.forks.Close())
		}
		p.note(p.deputy.Close())
		if p.served != nil {
			<-p.served
		}
	}
	p.note(p.unlimit())
	if p.determinism != nil {
		p.note(p.determinism.Close())
	}
	// Nobody writes any more: what is in the pipes is all.
	p.note(errors.Join(p.stdout.read(), p.stderr.read(), p.closePipes()))
	p.result, err = p.asResult(status)
	p.note(err)
}

// unlimit frees what keeps the limits, and finds out which one was exceeded.
func (p *Process) unlimit() (err error) {
	if p.watch != nil {
		p.exceeded, err = p.watch.End()
	}
	if p.group != nil {
		if p.group.OutOfMemory() {
			p.exceeded = "max_memory"
		}
		err = errors.Join(err, p.group.Close())
	}
	return err
}

func (p *Process) closePipes() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := errors.Join(p.stdin.close(), p.stdout.close(), p.stderr.close(), closePipe(&p.wakeup))
	for i := range p.streams {
		err = errors.Join(err, closePipe(&p.streams[i]))
	}
	return err
}

// Close kills what still runs, waits for its end, and forgets the result. A process that has ended is left alone.
func (p *Process) Close() error {
	err := p.Kill()
	p.serving.Lock()
	ended := p.launched == nil
	p.serving.Unlock()
	if ended {
		return err
	}
	_, failed := p.Wait()
	return errors.Join(err, failed)
}
