package deputy

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/interrupt"
	"sandlock/pkg/notify"
)

// A Transfer is what a call on a descriptor gave.
type Transfer struct {
	Value int64
	Errno unix.Errno

	// Awaited is a duplicate of the descriptor when nothing was done because the kernel would wait: to write or else to
	// read, for Patience, 0 for ever. The caller closes it, with interrupt.Close. Else it is -1.
	Awaited  int
	Writing  bool
	Patience time.Duration
}

// A transfer is one call that is being performed.
type transfer struct {
	*notify.Notification
	deputy *Deputy
	args   [6]uint64
	fd     int // a duplicate of the task's descriptor
	most   int
}

// A transferCall is how to perform a call on a descriptor, or one without any. Errors are those of Deputy.Transfer.
type transferCall struct {
	do           func(*transfer) (int64, error)
	noDescriptor bool
	cuttable     bool // it may give or take fewer bytes than it was asked to
}

var transferCalls = map[int]transferCall{
	unix.SYS_READ: {cuttable: true, do: func(t *transfer) (int64, error) { return t.read(-1) }},
	unix.SYS_PREAD64: {cuttable: true, do: func(t *transfer) (int64, error) {
		return t.at(t.read)
	}},
	unix.SYS_RECVFROM: {cuttable: true, do: (*transfer).receive},
	unix.SYS_WRITE:    {cuttable: true, do: func(t *transfer) (int64, error) { return t.write(-1) }},
	unix.SYS_PWRITE64: {cuttable: true, do: func(t *transfer) (int64, error) {
		return t.at(t.write)
	}},
	unix.SYS_LSEEK:      {do: (*transfer).seek},
	unix.SYS_GETDENTS64: {do: (*transfer).list},
	unix.SYS_FSTAT:      {do: (*transfer).stat},
	unix.SYS_GETRANDOM:  {noDescriptor: true, do: (*transfer).random},
	unix.SYS_UNAME:      {noDescriptor: true, do: (*transfer).uname},
}

// errNotReady says that the kernel would wait.
var errNotReady = errors.New("the descriptor is not ready")

// maxTransfer is MAX_RW_COUNT of the kernel, and chunk how much is copied at a time.
const (
	maxTransfer = math.MaxInt32 &^ 0xfff
	chunk       = 1 << 20
)

// Transfer performs the call of a notification on a duplicate of the task's descriptor, which shares its position, with
// the task's credentials. With most > 0 it gives or takes that many bytes at most. It waits for nothing that another
// process may withhold. ErrUnsupported says that this call cannot be performed, or not on such a descriptor.
func (d *Deputy) Transfer(n *notify.Notification, most int) (Transfer, error) {
	c, ok := transferCalls[n.Syscall()]
	if !ok || most > 0 && !c.cuttable {
		return Transfer{Awaited: -1}, fmt.Errorf("system call %d: %w", n.Syscall(), ErrUnsupported)
	}
	t := &transfer{Notification: n, deputy: d, args: n.Args(), fd: -1, most: most}
	if !c.noDescriptor {
		var err error
		if t.fd, err = n.Descriptor(int(int32(t.args[0]))); err != nil {
			return t.failed(err)
		}
	}
	value, err := c.do(t)
	if errors.Is(err, errNotReady) {
		return t.awaiting()
	}
	if t.fd >= 0 {
		interrupt.Close(t.fd)
	}
	if err != nil {
		return t.failed(err)
	}
	return Transfer{Value: value, Awaited: -1}, nil
}

// failed is the result of an error. Our own lack of descriptors is not the task's.
func (t *transfer) failed(err error) (Transfer, error) {
	if errors.Is(err, notify.ErrGone) || errors.Is(err, ErrUnsupported) {
		return Transfer{Awaited: -1}, err
	}
	errno := failed(err).Errno
	if errno == unix.EMFILE || errno == unix.ENFILE {
		errno = unix.ENOBUFS
	}
	return Transfer{Errno: errno, Awaited: -1}, nil
}

// awaiting hands the descriptor over to who waits for it.
func (t *transfer) awaiting() (Transfer, error) {
	result := Transfer{Awaited: t.fd}
	switch t.Syscall() {
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		result.Writing = true
	default:
		if limit, err := unix.GetsockoptTimeval(t.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO); err == nil {
			result.Patience = time.Duration(limit.Nano())
		}
	}
	return result, nil
}

// inside does something as the task, within its domain.
func (t *transfer) inside(do func() error) error {
	var err error
	failed := t.deputy.DoAs(t.Notification, func() { err = do() })
	return errors.Join(failed, err)
}

// at is a transfer at the position that the fourth argument says.
func (t *transfer) at(do func(offset int64) (int64, error)) (int64, error) {
	if int64(t.args[3]) < 0 {
		return 0, unix.EINVAL
	}
	return do(int64(t.args[3]))
}

// size is how many bytes are transferred at most.
func (t *transfer) size(asked uint64) (int, error) {
	if int64(asked) < 0 {
		return 0, unix.EFAULT // no memory is that large
	}
	size := int(min(asked, maxTransfer))
	if t.most > 0 {
		size = min(size, t.most)
	}
	return size, nil
}

// give copies what get gives into the task's memory, piece by piece until that is less than a piece.
func (t *transfer) give(address uint64, size int, get func(buffer []byte, done int) (int, error)) (int64, error) {
	buffer := make([]byte, min(size, chunk))
	for done := 0; ; {
		var count int
		err := t.inside(func() (err error) {
			count, err = get(buffer[:min(size-done, chunk)], done)
			return err
		})
		if err == nil {
			if err = t.Write(buffer[:count], address+uint64(done)); errors.Is(err, notify.ErrGone) {
				return 0, err
			}
		}
		if err != nil && done == 0 {
			return 0, err
		}
		if err == nil {
			done += count
		}
		if err != nil || count < len(buffer) || done == size {
			return int64(done), nil
		}
	}
}

// seek is lseek(2).
func (t *transfer) seek() (position int64, err error) {
	err = t.inside(func() error {
		position, err = unix.Seek(t.fd, int64(t.args[1]), int(uint32(t.args[2])))
		return err
	})
	return position, err
}

// list is getdents64(2).
func (t *transfer) list() (int64, error) {
	size := int(min(t.args[2]&0xffffffff, chunk))
	return t.give(t.args[1], size, func(buffer []byte, _ int) (int, error) {
		return unix.Getdents(t.fd, buffer)
	})
}

// stat is fstat(2).
func (t *transfer) stat() (int64, error) {
	var st unix.Stat_t
	if err := t.inside(func() error { return unix.Fstat(t.fd, &st) }); err != nil {
		return 0, err
	}
	t.deputy.identity.show(&st.Uid, &st.Gid)
	return 0, t.Write(bytesOf(&st), t.args[1])
}

// random is getrandom(2).
func (t *transfer) random() (int64, error) {
	size, err := t.size(t.args[1])
	if err != nil {
		return 0, err
	}
	return t.give(t.args[0], min(size, chunk), func(buffer []byte, _ int) (int, error) {
		return unix.Getrandom(buffer, int(int32(t.args[2])))
	})
}

// uname is uname(2).
func (t *transfer) uname() (int64, error) {
	var names unix.Utsname
	if err := unix.Uname(&names); err != nil {
		return 0, err
	}
	return 0, t.Write(bytesOf(&names), t.args[0])
}
