package deputy

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// A request is one call that is being performed.
type request struct {
	*notify.Notification
	identity *identity
	caller   caller
	args     [6]uint64
	flags    uint64 // AT_..., or RENAME_...
	places   []place
	input    []byte // the struct that the call reads beside its paths

	judged   map[string]bool // nil: whatever the paths lead to
	unjudged string

	// A file in /proc that is the task's own has to be opened outside of the domain: missing says which, and then the
	// call is performed anew with what was opened.
	missing *ownFile
	taken   map[ownFile]int
	own     *ownFile // what lookUp found
}

// Paths gives the number of paths that a system call takes, 0 for one that cannot be performed.
func Paths(syscall int) int { return len(calls[syscall].paths) }

// Perform performs the call of a notification with the given paths in the place of those in the task's memory.
// ErrUnsupported says that this call cannot be.
func (d *Deputy) Perform(n *notify.Notification, paths ...string) (Result, error) {
	return d.perform(n, nil, paths)
}

// PerformJudged does as Perform when the paths lead to files whose absolute names are among those that were judged,
// links followed where the call follows them. Else it does nothing and gives a name that is not.
func (d *Deputy) PerformJudged(n *notify.Notification, judged []string, paths ...string) (Result, error) {
	names := make(map[string]bool, len(judged))
	for _, name := range judged {
		names[name] = true
	}
	return d.perform(n, names, paths)
}

// maxOwnFiles bounds how often a call is performed anew, which a task may provoke by replacing links on the way.
const maxOwnFiles = 16

func (d *Deputy) perform(n *notify.Notification, judged map[string]bool, paths []string) (Result, error) {
	c, ok := calls[n.Syscall()]
	if !ok {
		return Result{}, fmt.Errorf("system call %d: %w", n.Syscall(), ErrUnsupported)
	}
	if len(paths) != len(c.paths) {
		return Result{}, fmt.Errorf("system call %d takes %d paths, not %d", n.Syscall(), len(c.paths), len(paths))
	}
	return d.performAs(c, n, judged, paths)
}

// performAs performs a call as if it were the given one.
func (d *Deputy) performAs(c call, n *notify.Notification, judged map[string]bool, paths []string) (Result, error) {
	r := &request{Notification: n, identity: d.identity, args: n.Args(), judged: judged, taken: make(map[ownFile]int)}
	defer r.close()
	if err := r.gather(c, paths); err != nil {
		return failed(err), nil
	}
	for range maxOwnFiles {
		if !n.Valid() { // what was opened in /proc may be another process's
			return Result{}, notify.ErrGone
		}
		result, err := d.run(func(*thread) Result { return r.inside(c) })
		if err != nil {
			return Result{}, err
		}
		if r.missing == nil {
			return r.conclude(result)
		}
		if err := r.openMissing(); err != nil {
			return failed(err), nil
		}
	}
	return failed(unix.ELOOP), nil
}

// inside is what a confined thread does.
func (r *request) inside(c call) Result {
	restore, err := assume(r.caller)
	if err != nil {
		return failed(err)
	}
	defer restore()
	r.own = nil
	return c.do(r)
}

// conclude does what is left to do outside of the domain.
func (r *request) conclude(result Result) (Result, error) {
	if r.unjudged != "" {
		return Result{FD: -1, Unjudged: r.unjudged}, nil
	}
	if result.outside != nil {
		result = result.outside()
	}
	// The task's memory is out of reach of the domain: Landlock lets no thread look into one beside its own.
	if result.output != nil {
		if err := r.Write(result.output, result.address); err != nil {
			return failed(err), nil
		}
	}
	return result, nil
}

// gather takes from the task, outside of the domain, what the call needs of it.
func (r *request) gather(c call, paths []string) (err error) {
	if r.caller, err = callerOf(r.Task()); err != nil {
		return unix.ESRCH
	}
	if c.asRealUser != nil && c.asRealUser(r) {
		r.caller.credentials = r.caller.real
	}
	if err := r.readInput(c); err != nil {
		return err
	}
	if c.flags > 0 {
		r.flags = r.args[c.flags] & 0xffffffff
		if r.flags&^c.knownFlags != 0 {
			return unix.EINVAL
		}
	}
	if c.emptyPath {
		r.flags = unix.AT_EMPTY_PATH
	}
	for i, at := range c.paths {
		if paths[i] == "" && r.args[at.path] == 0 {
			if err := r.checkNull(c); err != nil {
				return err
			}
			r.flags |= unix.AT_EMPTY_PATH
		}
		if err := r.locate(at, paths[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *request) readInput(c call) error {
	size := c.inputSize
	if c.inputLength > 0 {
		if r.args[c.inputLength] > maxInput {
			return unix.E2BIG
		}
		size = int(r.args[c.inputLength])
	}
	if c.input == 0 || r.args[c.input] == 0 {
		return nil
	}
	r.input = make([]byte, size)
	if count, err := r.Read(r.input, r.args[c.input]); err != nil || count != size {
		return unix.EFAULT
	}
	return nil
}

// locate opens the folder that a path is relative to.
func (r *request) locate(at pathArgument, path string) error {
	if strings.IndexByte(path, 0) >= 0 {
		return unix.EINVAL
	}
	if path == "" && !r.mayBeEmpty() {
		r.places = append(r.places, place{base: -1}) // the descriptor does not matter
		return nil
	}
	where := "/proc/" + strconv.Itoa(r.Task()) + "/cwd"
	switch {
	case strings.HasPrefix(path, "/") && !r.isRooted():
		where = "/"
	case at.folder >= 0 && int32(r.args[at.folder]) != unix.AT_FDCWD:
		where = fmt.Sprintf("/proc/%d/fd/%d", r.Task(), int32(r.args[at.folder]))
	}
	base, err := openat2(unix.AT_FDCWD, where, unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if errors.Is(err, unix.ENOENT) {
		return unix.EBADF // no such descriptor, or the task is gone
	}
	if err != nil {
		return err
	}
	r.places = append(r.places, place{base: base, path: path})
	return nil
}

// isRooted reports whether the folder that the path is relative to is its root as well.
func (r *request) isRooted() bool {
	return r.Syscall() == unix.SYS_OPENAT2 && len(r.input) >= openHowSize && r.openHow().Resolve&unix.RESOLVE_IN_ROOT != 0
}

func (r *request) close() {
	for _, p := range r.places {
		unix.Close(p.base)
	}
	for _, fd := range r.taken {
		unix.Close(fd)
	}
}

// find opens what a path names, not for use; the caller closes it.
func (r *request) find(i int, follow bool) (int, error) {
	p := r.places[i]
	if p.path == "" {
		if !r.mayBeEmpty() {
			return -1, unix.ENOENT
		}
		return duplicate(p.base)
	}
	if follow {
		return r.lookUp(p, 0, 0)
	}
	return r.lookUp(p, unix.O_NOFOLLOW, 0)
}

// parent opens the folder of what a path names, and gives its name there; the caller closes it.
func (r *request) parent(i int) (folder int, name string, err error) {
	return r.openParent(r.places[i], 0)
}

func (r *request) openParent(p place, resolve uint64) (folder int, name string, err error) {
	folder, name, err = p.openParent(resolve)
	if err != nil {
		return -1, "", err
	}
	if err := r.judgeEntry(folder, name); err != nil {
		unix.Close(folder)
		return -1, "", err
	}
	return folder, name, nil
}

// errInProc says that something was to be made or removed in the task's own folder of /proc.
var errInProc = fmt.Errorf("nothing in /proc can be made or removed: %w", unix.EPERM)

// judgeEntry is judgeFile for what may not be there.
func (r *request) judgeEntry(folder int, name string) error {
	_, own, err := r.ownFile(folder, "")
	if own {
		err = errInProc
	}
	if err != nil || r.judged == nil {
		return err
	}
	if strings.HasPrefix(name, "/") { // the root folder
		return r.judge("/")
	}
	at, err := nameOf(folder)
	if err != nil {
		return err
	}
	return r.judge(path.Join(at, name))
}

// follows reports whether the AT_ flags let the last symbolic link be followed.
func (r *request) follows() bool { return r.flags&unix.AT_SYMLINK_NOFOLLOW == 0 }

// checkNull says whether a path may be a null pointer.
func (r *request) checkNull(c call) error {
	switch {
	case c.nullPath && r.mayBeEmpty():
		return nil
	case r.Syscall() != unix.SYS_UTIMENSAT || int32(r.args[0]) == unix.AT_FDCWD:
		return unix.EFAULT
	case r.flags != 0: // futimens(3) has none
		return unix.EINVAL
	}
	return nil
}

// mayBeEmpty reports whether an empty path means the folder itself.
func (r *request) mayBeEmpty() bool { return r.flags&unix.AT_EMPTY_PATH != 0 }

// failed is the result of an error: its errno, which the task gets.
func failed(err error) Result { return Result{FD: -1, Errno: notify.ErrnoOf(err)} }

// returned is the result of a call that gives nothing but success.
func returned(err error) Result {
	if err != nil {
		return failed(err)
	}
	return Result{FD: -1}
}

// opened is the result of opening a file.
func opened(fd int, how unix.OpenHow, err error) Result {
	if err != nil {
		return failed(err)
	}
	return Result{FD: fd, CloseOnExec: how.Flags&unix.O_CLOEXEC != 0}
}

// give is the result of a call that writes what it has found out to the task's memory.
func give(data []byte, address uint64, value int64) Result {
	return Result{FD: -1, Value: value, output: data, address: address}
}
