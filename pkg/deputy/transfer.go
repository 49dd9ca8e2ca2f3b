package deputy

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// A descriptorKind is how a descriptor behaves when it is read from or written to.
type descriptorKind int

const (
	otherKind  descriptorKind = iota // what it does may depend on who does it, as with a signalfd, or it may wait
	fileKind                         // never waits for another process
	pipeKind                         // takes RWF_NOWAIT, except with a name, and on old kernels
	streamKind                       // a socket
)

// memoryDevices is the major number of /dev/zero, /dev/urandom and the like, see null(4).
const memoryDevices = 1

func (t *transfer) kind() (descriptorKind, error) {
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		return otherKind, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR: // a directory is refused by the kernel
		return fileKind, nil
	case unix.S_IFCHR:
		if unix.Major(st.Rdev) == memoryDevices {
			return fileKind, nil
		}
	case unix.S_IFIFO:
		if flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0); err == nil && flags&unix.O_DIRECT == 0 {
			return pipeKind, nil // of bytes: what is left of a packet would be lost
		}
	case unix.S_IFSOCK:
		if kind, err := unix.GetsockoptInt(t.fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil && kind == unix.SOCK_STREAM {
			return streamKind, nil
		}
	}
	return otherKind, nil
}

// sizeAndKind are of a call whose third argument is the size.
func (t *transfer) sizeAndKind() (size int, kind descriptorKind, err error) {
	if size, err = t.size(t.args[2]); err == nil {
		kind, err = t.kind()
	}
	return size, kind, err
}

// errKind says that a call cannot be performed on such a descriptor.
var errKind = fmt.Errorf("neither a regular file, a pipe nor a stream socket: %w", ErrUnsupported)

// read is read(2), or pread64(2) with an offset from 0 on.
func (t *transfer) read(offset int64) (int64, error) {
	size, kind, err := t.sizeAndKind()
	switch {
	case err != nil:
		return 0, err
	case kind == fileKind:
		return t.give(t.args[1], size, func(buffer []byte, done int) (int, error) {
			if offset < 0 {
				return ignoringEINTR(func() (int, error) { return unix.Read(t.fd, buffer) })
			}
			return ignoringEINTR(func() (int, error) { return unix.Pread(t.fd, buffer, offset+int64(done)) })
		})
	case offset >= 0 && kind != otherKind:
		return 0, unix.ESPIPE
	case kind == pipeKind:
		return t.give(t.args[1], min(size, chunk), func(buffer []byte, _ int) (int, error) {
			return t.ready(0, func() (int, error) {
				return unix.Preadv2(t.fd, [][]byte{buffer}, -1, unix.RWF_NOWAIT)
			})
		})
	case kind == streamKind:
		return t.receiveStream(size, 0)
	}
	return 0, errKind
}

// receivable are the flags of recvfrom(2) that change nothing about how it is performed.
const receivable = unix.MSG_DONTWAIT | unix.MSG_PEEK | unix.MSG_NOSIGNAL | unix.MSG_CMSG_CLOEXEC

// receive is recvfrom(2) without an address.
func (t *transfer) receive() (int64, error) {
	size, kind, err := t.sizeAndKind()
	switch flags := int(int32(t.args[3])); {
	case err != nil:
		return 0, err
	case kind != streamKind:
		var st unix.Stat_t
		if err := unix.Fstat(t.fd, &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
			return 0, unix.ENOTSOCK
		}
		return 0, errKind
	case t.args[4] != 0 || flags&^receivable != 0:
		return 0, fmt.Errorf("recvfrom with flags %#x, or for an address: %w", flags, ErrUnsupported)
	default:
		return t.receiveStream(size, flags)
	}
}

func (t *transfer) receiveStream(size, flags int) (int64, error) {
	return t.give(t.args[1], min(size, chunk), func(buffer []byte, _ int) (int, error) {
		return t.ready(flags, func() (int, error) {
			count, _, err := unix.Recvfrom(t.fd, buffer, flags|unix.MSG_DONTWAIT)
			return count, err
		})
	})
}

// write is write(2), or pwrite64(2) with an offset from 0 on.
func (t *transfer) write(offset int64) (int64, error) {
	size, kind, err := t.sizeAndKind()
	switch {
	case err != nil:
		return 0, err
	case kind == pipeKind && offset >= 0:
		return 0, unix.ESPIPE
	case kind == fileKind && t.unlimited():
	case kind != pipeKind:
		return 0, fmt.Errorf("write to what is no pipe, or with a limit for files (RLIMIT_FSIZE): %w", ErrUnsupported)
	}
	data := make([]byte, min(size, chunk))
	if count, err := t.Read(data, t.args[1]); err != nil || count < len(data) {
		return 0, errors.Join(err, unix.EFAULT)
	}
	var count int
	err = t.inside(func() error {
		return Quietly(func() (err error) {
			switch {
			case kind == pipeKind:
				count, err = t.ready(0, func() (int, error) {
					return unix.Pwritev2(t.fd, [][]byte{data}, -1, unix.RWF_NOWAIT)
				})
			case offset >= 0:
				count, err = ignoringEINTR(func() (int, error) { return unix.Pwrite(t.fd, data, offset) })
			default:
				count, err = ignoringEINTR(func() (int, error) { return unix.Write(t.fd, data) })
			}
			return err
		})
	})
	if errors.Is(err, unix.EPIPE) {
		return 0, errors.Join(err, t.BreakPipe())
	}
	return int64(count), err
}

// unlimited reports whether the task's files may grow as they like: the kernel looks at the limits of who writes.
func (t *transfer) unlimited() bool {
	var limit unix.Rlimit
	err := unix.Prlimit(t.Task(), unix.RLIMIT_FSIZE, nil, &limit)
	return err == nil && limit.Cur == unix.RLIM_INFINITY
}

// ready makes errNotReady of EAGAIN where the kernel would wait.
func (t *transfer) ready(flags int, do func() (int, error)) (int, error) {
	count, err := ignoringEINTR(do)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		return 0, fmt.Errorf("a FIFO with a name, or a pipe of an old kernel: %w", ErrUnsupported)
	case !errors.Is(err, unix.EAGAIN) || flags&unix.MSG_DONTWAIT != 0:
		return count, err
	}
	if modes, failed := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0); failed == nil && modes&unix.O_NONBLOCK != 0 {
		return 0, err
	}
	return 0, errNotReady
}

// ignoringEINTR makes a call again that a signal of the Go runtime's has interrupted.
func ignoringEINTR(do func() (int, error)) (int, error) {
	for {
		if count, err := do(); !errors.Is(err, unix.EINTR) {
			return max(count, 0), err
		}
	}
}
