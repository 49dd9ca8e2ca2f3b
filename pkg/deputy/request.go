package deputy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// A request is one call that is being performed.
type request struct {
	*notify.Notification
	deputy *Deputy
	args   [6]uint64
	places []place
	input  []byte // the struct that the call reads beside its paths

	// What a path in /proc names that is the task's own has to be opened outside of the domain: wanted says what, and
	// then the call is performed anew with what was opened.
	wanted   *ownFile
	ownFiles map[ownFile]int
	foundOwn bool // what was opened last is one of ownFiles
}

// An ownFile is a file in the task's own folder of /proc, as one of the paths names it and with the flags of openat2(2).
type ownFile struct {
	place int
	rest  string
	how   unix.OpenHow
}

// Paths gives the number of paths that a system call takes, 0 for one that cannot be performed.
func Paths(syscall int) int { return len(calls[syscall].paths) }

// Perform performs the call of a notification with the given paths in the place of those in the task's memory.
// ErrUnsupported says that this call cannot be.
func (d *Deputy) Perform(n *notify.Notification, paths ...string) (Result, error) {
	c, ok := calls[n.Syscall()]
	if !ok {
		return Result{}, fmt.Errorf("system call %d: %w", n.Syscall(), ErrUnsupported)
	}
	if len(paths) != len(c.paths) {
		return Result{}, fmt.Errorf("system call %d takes %d paths, not %d", n.Syscall(), len(c.paths), len(paths))
	}
	own, err := credentialsOf(unix.Gettid())
	if err != nil {
		return Result{}, err
	}
	r := &request{Notification: n, deputy: d, args: n.Args(), ownFiles: make(map[ownFile]int)}
	defer r.close()
	wanted, err := r.gather(c, paths)
	if err != nil {
		return failed(err), nil
	}
	if !n.Valid() { // what was read in /proc may be another process's
		return Result{}, notify.ErrGone
	}
	var result Result
	for range maxOwnFiles {
		result, err = d.run(func() Result {
			restore, err := assume(own, wanted)
			if err != nil {
				return failed(err)
			}
			defer restore()
			return c.do(r)
		})
		if err != nil || r.wanted == nil {
			break
		}
		if err := r.openOwn(); err != nil {
			return failed(err), nil
		}
	}
	if err == nil && result.outside != nil {
		result = result.outside()
	}
	// The task's memory is out of reach of the domain: Landlock lets no thread look into one beside its own.
	if err == nil && result.output != nil {
		if err := n.Write(result.output, result.address); err != nil {
			return failed(err), nil
		}
	}
	return result, err
}

// maxOwnFiles bounds how often a call is performed anew: twice for each of two paths, and once more.
const maxOwnFiles = 5

// gather takes from the task, outside of the domain, what the call needs of it.
func (r *request) gather(c call, paths []string) (credentials, error) {
	wanted, err := credentialsOf(r.Task())
	if err != nil {
		return credentials{}, unix.ESRCH
	}
	for i, at := range c.paths {
		if err := r.locate(at, paths[i]); err != nil {
			return credentials{}, err
		}
	}
	if c.inputSize > 0 && r.args[c.input] != 0 {
		r.input = make([]byte, c.inputSize)
		if count, err := r.Read(r.input, r.args[c.input]); err != nil || count != c.inputSize {
			return credentials{}, unix.EFAULT
		}
	}
	return wanted, nil
}

// locate opens the folder that a path is relative to.
func (r *request) locate(at pathArgument, path string) error {
	if strings.IndexByte(path, 0) >= 0 {
		return unix.EINVAL
	}
	where := "/proc/" + strconv.Itoa(r.Task()) + "/cwd"
	if at.folder >= 0 && int32(r.args[at.folder]) != unix.AT_FDCWD {
		if strings.HasPrefix(path, "/") {
			where = "/"
		} else {
			where = fmt.Sprintf("/proc/%d/fd/%d", r.Task(), int32(r.args[at.folder]))
		}
	}
	base, err := unix.Open(where, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return unix.EBADF // no such descriptor, or the task is gone
	}
	if err != nil {
		return err
	}
	r.places = append(r.places, place{base: base, path: path, task: r.Task()})
	return nil
}

func (r *request) close() {
	for _, p := range r.places {
		unix.Close(p.base)
	}
	for _, fd := range r.ownFiles {
		unix.Close(fd)
	}
}

// openOwn opens the task's own file that is wanted. The domain lets the task have it: it let a thread of ours open the
// same file of the host's process with the same flags.
func (r *request) openOwn() error {
	file := *r.wanted
	r.wanted = nil
	fd, err := r.places[file.place].openOwn(file.rest, file.how)
	if err == nil {
		r.ownFiles[file] = fd
	}
	return err
}

// find opens what a path names, not for reading or writing; the caller closes it.
func (r *request) find(i int, follow bool) (int, error) {
	p := r.places[i]
	if p.path == "" {
		return unix.FcntlInt(uintptr(p.base), unix.F_DUPFD_CLOEXEC, 0)
	}
	how := unix.OpenHow{Flags: unix.O_PATH}
	if !follow {
		how.Flags |= unix.O_NOFOLLOW
	}
	return r.open(i, how)
}

// open opens what a path names; the caller closes it.
func (r *request) open(i int, how unix.OpenHow) (int, error) {
	fd, err := r.places[i].open(how)
	r.foundOwn = false
	var own *ownPathError
	if errors.As(err, &own) {
		file := ownFile{i, own.rest, how}
		opened, ok := r.ownFiles[file]
		if !ok {
			r.wanted = &file
			return -1, err
		}
		fd, err = unix.FcntlInt(uintptr(opened), unix.F_DUPFD_CLOEXEC, 0)
		r.foundOwn = true
	}
	if err == nil {
		r.wanted = nil
	}
	return fd, err
}

// parent opens the folder of what a path names, and gives its name there.
func (r *request) parent(i int) (folder int, name string, err error) {
	p := r.places[i]
	if p.path == "" {
		return -1, "", unix.ENOENT
	}
	end := len(strings.TrimRight(p.path, "/"))
	cut := strings.LastIndexByte(p.path[:end], '/') + 1
	p.path, name = p.path[:cut], p.path[cut:]
	if p.path == "" {
		folder, err = unix.FcntlInt(uintptr(p.base), unix.F_DUPFD_CLOEXEC, 0)
		return folder, name, err
	}
	if name == "" {
		name = "." // the root folder
	}
	folder, err = p.open(unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY})
	var own *ownPathError
	if errors.As(err, &own) {
		err = unix.EPERM // nothing in /proc can be made or removed
	}
	return folder, name, err
}

// failed is the result of an error: its errno, which the task gets.
func failed(err error) Result {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		errno = unix.EIO
	}
	return Result{FD: -1, Errno: errno}
}

// returned is the result of a call that gives nothing but success.
func returned(err error) Result {
	if err != nil {
		return failed(err)
	}
	return Result{FD: -1}
}

// give is the result of a call that writes what it has found out to the task's memory.
func give(data []byte, address uint64, value int64) Result {
	return Result{FD: -1, Value: value, output: data, address: address}
}
