package netcall

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/interrupt"
	"sandlock/pkg/network"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// A Performer judges and performs the calls of one sandbox. As a supervise.Handler it refuses what the rules do not
// grant and leaves the rest to others; as a supervise.Performer it performs, judging anew what it copies anew.
type Performer struct {
	judge     *network.Judge
	narrowing *network.Narrowing
	deputy    *deputy.Deputy
	unix      *Unix // nil where no Unix socket is granted
	queue     queue

	// modes is held while a socket of a task may be non-blocking because of us.
	modes sync.Mutex
}

// New makes a performer whose calls are made inside the deputy's domain. What the judge and unix grant may be narrowed;
// unix is nil for no Unix socket.
func New(judge *network.Judge, narrowing *network.Narrowing, deputy *deputy.Deputy, unix *Unix) *Performer {
	return &Performer{judge: judge, narrowing: narrowing, deputy: deputy, unix: unix}
}

// errDenied says that the rules do not grant something.
var errDenied = fmt.Errorf("the rules about the network do not grant it: %w", unix.EACCES)

// Handle refuses what the rules do not grant. What is wrong in another way is found out when it is performed: a handler
// may set it right.
func (p *Performer) Handle(n *notify.Notification) supervise.Action {
	c, err := p.newCall(n)
	if err == nil {
		err = c.checkPath()
		c.close()
	}
	if errors.Is(err, errDenied) {
		return supervise.Fail(errnoOf(err))
	}
	return supervise.Continue()
}

// Perform performs the call and answers, now or when its socket is ready.
func (p *Performer) Perform(n *notify.Notification) (err error) {
	defer notPanicking(n, &err)
	c, err := p.newCall(n)
	if errors.Is(err, notify.ErrGone) {
		return nil
	}
	if err != nil {
		return n.Fail(errnoOf(err))
	}
	over, err := p.attempt(c)
	if over || err != nil {
		c.close()
		return err
	}
	if err := p.queue.add(p, c); err != nil {
		c.close()
		return errors.Join(err, n.Fail(unix.ENOBUFS))
	}
	return nil
}

// notPanicking turns a panic into an error: what a task asks for must not end the host.
func notPanicking(n *notify.Notification, err *error) {
	if problem := recover(); problem != nil {
		*err = errors.Join(fmt.Errorf("perform system call %d: %v", n.Syscall(), problem), n.Fail(unix.EIO))
	}
}

// Close ends the waits of calls, without answers, and gives the errors that those before ran into. No task of the
// sandbox may be left.
func (p *Performer) Close() error {
	err := p.queue.close()
	if p.unix == nil {
		return err
	}
	return errors.Join(err, p.unix.Binder.Close())
}

// An operation is what is done with a socket.
type operation interface {
	// try goes as far as it can without waiting. ErrNotYet says that the kernel would wait until one can write.
	try(*call) (value int64, err error)
	// cutShort is what the task gets when the wait ends early, nil for what the kernel gives when nothing was done.
	cutShort(c *call, reason error) (value int64, err error)
}

// errNotYet is what an operation gives that has to wait for its socket.
var errNotYet = errors.New("the socket is not ready")

// A call is one that is being performed.
type call struct {
	operation
	*Performer
	n        notify.Notification
	socket   *socket
	path     string        // of the Unix socket that it is about, if it is about one
	patience time.Duration // 0 for ever
	deadline time.Time
	doubts   int  // how often in a row a signal was seen that may be another thread's
	moved    bool // something was sent
	// Ticks between two tries when nothing was sent although the socket seemed ready, and until the next one.
	pause, rest int
}

func (c *call) close() {
	c.narrowing.Forget(c.n.Task(), c.n.ID())
	interrupt.Close(c.socket.fd)
}

// newCall copies what a task asks for, and judges it.
func (p *Performer) newCall(n *notify.Notification) (c *call, err error) {
	args := n.Args()
	s, err := take(n, int(int32(args[0])))
	if err != nil {
		return nil, err
	}
	c = &call{Performer: p, n: *n, socket: s, patience: s.patience()}
	switch n.Syscall() {
	case unix.SYS_CONNECT:
		c.operation, err = c.newConnect(args)
	case unix.SYS_BIND:
		c.operation, err = c.newBind(args)
	case unix.SYS_LISTEN:
		c.operation, err = c.newListen(args)
	case unix.SYS_SENDTO:
		c.operation, err = c.newSendto(args)
	case unix.SYS_SENDMSG:
		c.operation, err = c.newSendmsg(args)
	case unix.SYS_SENDMMSG:
		c.operation, err = c.newSendmmsg(args)
	default:
		err = unix.ENOSYS
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// attempt tries to perform a call, and answers if that is over.
func (p *Performer) attempt(c *call) (over bool, err error) {
	defer notPanicking(&c.n, &err)
	value, err := c.try(c)
	if errors.Is(err, errNotYet) {
		return false, nil
	}
	return true, c.answer(value, err)
}

// answer gives the task a value or an errno.
func (c *call) answer(value int64, err error) error {
	if err != nil {
		return c.n.Fail(errnoOf(err))
	}
	return c.n.Return(value)
}

// errnoOf is what the task is told. Our own lack of descriptors is not the task's.
func errnoOf(err error) unix.Errno {
	errno := notify.ErrnoOf(err)
	if errno == unix.EMFILE || errno == unix.ENFILE {
		return unix.ENOBUFS
	}
	return errno
}
