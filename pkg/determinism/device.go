package determinism

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// open gives a stream of the seed's to who opens one of the devices for reading: /dev/random, /dev/urandom, or a link
// whose name ends like theirs. Whether it may be opened is for the policy to say, as always.
func (r *random) open(n *notify.Notification) supervise.Action {
	address, flags, err := n.OpenArguments()
	if err != nil {
		return supervise.Continue()
	}
	var buffer [unix.PathMax]byte
	length, err := n.ReadString(buffer[:], address, unix.PathMax-1)
	path := string(buffer[:length])
	if err != nil || !strings.HasSuffix(path, "random") || flags&unix.O_ACCMODE == unix.O_WRONLY || flags&unix.O_PATH != 0 {
		return supervise.Continue()
	}
	if !isRandomDevice(n, path) {
		return supervise.Continue()
	}
	result, err := r.opener().Perform(n, path)
	switch {
	case errors.Is(err, notify.ErrGone):
		return supervise.Continue()
	case err != nil:
		return supervise.Fail(unix.EIO)
	case result.FD < 0:
		return supervise.Fail(result.Errno)
	}
	unix.Close(result.FD)
	var seed [32]byte
	if err := r.streams.fill(n, seed[:]); err != nil {
		return supervise.Fail(unix.EIO)
	}
	fd, err := r.devices.start(rand.NewChaCha8(seed), flags&unix.O_NONBLOCK)
	if err != nil {
		return supervise.Fail(unix.ENFILE)
	}
	return supervise.GiveFD(fd, uint32(flags)&unix.O_CLOEXEC)
}

// isRandomDevice looks where a path leads; what it leads to later is looked at by who opens it.
func isRandomDevice(n *notify.Notification, path string) bool {
	if !strings.HasPrefix(path, "/") {
		folder := "cwd"
		if n.Syscall() == unix.SYS_OPENAT || n.Syscall() == unix.SYS_OPENAT2 {
			if fd := int32(n.Args()[0]); fd != unix.AT_FDCWD {
				folder = fmt.Sprintf("fd/%d", fd)
			}
		}
		path = fmt.Sprintf("/proc/%d/%s/%s", n.Task(), folder, path)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return false
	}
	device := uint64(st.Rdev) // See Documentation/admin-guide/devices.txt.
	return device == unix.Mkdev(1, 8) || device == unix.Mkdev(1, 9)
}

// devices are the open ones: pipes that are filled as they are read.
type devices struct {
	mu      sync.Mutex
	open    int
	closed  bool
	stop    int // an eventfd, or -1 before the first device
	running sync.WaitGroup
}

// maxDevices bounds how many there may be at once: each takes a thread and a descriptor.
const maxDevices = 64

var errTooMany = errors.New("too many random devices are open")

// start opens a device and gives the end to read from.
func (d *devices) start(stream *rand.ChaCha8, nonblock uint64) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.open >= maxDevices {
		return -1, errTooMany
	}
	if d.stop < 0 {
		stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return -1, err
		}
		d.stop = stop
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return -1, err
	}
	if nonblock == 0 {
		if err := unix.SetNonblock(ends[0], false); err != nil {
			return -1, errors.Join(err, unix.Close(ends[0]), unix.Close(ends[1]))
		}
	}
	f := feed{pipe: ends[1], stream: stream}
	f.write() // so that who does not wait finds something
	d.open++
	d.running.Go(func() {
		f.serve(d.stop)
		d.mu.Lock()
		d.open--
		d.mu.Unlock()
	})
	return ends[0], nil
}

func (d *devices) close() {
	d.mu.Lock()
	d.closed = true
	stop := d.stop
	d.mu.Unlock()
	if stop < 0 {
		return
	}
	one := [8]byte{1}
	unix.Write(stop, one[:]) // fails only when it is full, which wakes as well
	d.running.Wait()
	unix.Close(stop)
}

// A feed fills one pipe.
type feed struct {
	pipe   int
	stream *rand.ChaCha8
	rest   []byte // drawn from the stream, and not written yet
}

// serve fills the pipe until nobody can read from it, or until stop. Its thread takes a SIGPIPE along when it ends.
func (f *feed) serve(stop int) {
	defer unix.Close(f.pipe)
	runtime.LockOSThread()
	var pipe unix.Sigset_t
	pipe.Val[0] = 1 << (unix.SIGPIPE - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &pipe, nil) != nil {
		return
	}
	for {
		ready := [2]unix.PollFd{{Fd: int32(f.pipe), Events: unix.POLLOUT}, {Fd: int32(stop), Events: unix.POLLIN}}
		_, err := unix.Poll(ready[:], -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || ready[1].Revents != 0 || ready[0].Revents&unix.POLLERR != 0 || !f.write() {
			return
		}
	}
}

// write fills the pipe as far as it goes. False: nobody reads.
func (f *feed) write() bool {
	for {
		if len(f.rest) == 0 {
			f.rest = make([]byte, 4096)
			f.stream.Read(f.rest)
		}
		count, err := unix.Write(f.pipe, f.rest)
		switch {
		case err == nil:
			f.rest = f.rest[count:]
		case errors.Is(err, unix.EAGAIN):
			return true
		case !errors.Is(err, unix.EINTR):
			return false
		}
	}
}
