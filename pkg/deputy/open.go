package deputy

import (
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFlags are the flags that open(2) heeds; it ignores others, which openat2(2) refuses.
const openFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_ASYNC | unix.O_CLOEXEC | unix.O_CREAT | unix.O_DIRECT |
	unix.O_DIRECTORY | unix.O_DSYNC | unix.O_EXCL | unix.O_NOATIME | unix.O_NOCTTY |
	unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_PATH | unix.O_SYNC | unix.O_TMPFILE | unix.O_TRUNC

// tmpFile is O_TMPFILE without O_DIRECTORY, which it includes.
const tmpFile = unix.O_TMPFILE &^ unix.O_DIRECTORY

func (r *request) doOpen(flags, mode uint64) Result {
	how := unix.OpenHow{Flags: flags & openFlags}
	if flags&unix.O_PATH != 0 {
		how.Flags &= unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	} else if flags&(unix.O_CREAT|tmpFile) != 0 {
		how.Mode = mode & 0o7777
	}
	return r.openAs(how)
}

// openHowSize is the size of struct open_how; what a newer kernel's has beyond that must be zero.
const openHowSize = int(unsafe.Sizeof(unix.OpenHow{}))

func (r *request) doOpenat2() Result {
	if r.args[3] < uint64(openHowSize) {
		return failed(unix.EINVAL)
	}
	if r.input == nil {
		return failed(unix.EFAULT)
	}
	for _, b := range r.input[openHowSize:] {
		if b != 0 {
			return failed(unix.E2BIG)
		}
	}
	return r.openAs(r.openHow())
}

func (r *request) openHow() unix.OpenHow { return *(*unix.OpenHow)(unsafe.Pointer(&r.input[0])) }

// openAs opens the first path as openat2(2) would, but for O_PATH: the kernel gives a task no such descriptor of
// another's (fget in seccomp_notify_addfd). A folder or a regular file is opened for reading instead.
func (r *request) openAs(how unix.OpenHow) Result {
	// The kernel looks at the flags before it finds that an empty path leads nowhere.
	if _, err := openat2(unix.AT_FDCWD, "", how); !errors.Is(err, unix.ENOENT) {
		return failed(err)
	}
	p := r.places[0]
	switch {
	case p.path == "":
		return failed(unix.ENOENT)
	case how.Flags&unix.O_CREAT != 0:
		return r.create(p, how)
	}
	fd, err := r.lookUp(p, how.Flags&(unix.O_NOFOLLOW|unix.O_DIRECTORY), how.Resolve)
	if err != nil {
		return failed(err)
	}
	if how.Flags&unix.O_PATH != 0 {
		how.Flags = how.Flags&(unix.O_DIRECTORY|unix.O_CLOEXEC) | unix.O_RDONLY
		if kind, err := kindOf(fd); err != nil || kind != unix.S_IFREG && kind != unix.S_IFDIR {
			unix.Close(fd)
			return failed(unix.EOPNOTSUPP)
		}
	}
	return r.use(fd, how)
}

// kindOf is the type of a file.
func kindOf(fd int) (uint32, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return st.Mode & unix.S_IFMT, err
}

// use opens what was looked up. It takes over the descriptor.
func (r *request) use(fd int, how unix.OpenHow) Result {
	keep := false
	defer func() {
		if !keep {
			unix.Close(fd)
		}
	}()
	if r.own != nil {
		return r.useOwn(*r.own, how)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return failed(err)
	}
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK: // and O_NOFOLLOW
		return failed(unix.ELOOP)
	case kind == unix.S_IFCHR && st.Rdev == unix.Mkdev(5, 0): // /dev/tty, for this process the host's terminal
		return failed(unix.ENXIO)
	case kind == unix.S_IFIFO && how.Flags&unix.O_NONBLOCK == 0 && how.Flags&unix.O_ACCMODE != unix.O_RDWR:
		keep = true
		return r.openFIFO(fd, how)
	}
	used, err := reopen(fd, how)
	return opened(used, how, err)
}

// useOwn opens the task's own file in /proc.
func (r *request) useOwn(own ownFile, how unix.OpenHow) Result {
	if own.isMagic() { // and O_NOFOLLOW
		return failed(unix.ELOOP)
	}
	own.how = unix.OpenHow{Flags: how.Flags&^unix.O_NOFOLLOW | unix.O_CLOEXEC}
	if err := own.allowed(); err != nil {
		return failed(err)
	}
	fd, err := r.take(own)
	return opened(fd, how, err)
}

// create opens a file that is made if it is not there. A new one is made under the very name that was judged: nothing
// is followed then.
func (r *request) create(p place, how unix.OpenHow) Result {
	exclusive := how.Flags&unix.O_EXCL != 0
	for range maxLinks {
		_, name := p.split()
		trimmed := strings.TrimRight(name, "/")
		slash := trimmed != name
		isFolder := trimmed == "" || trimmed == "." || trimmed == ".."
		if isFolder || !exclusive && !slash {
			fd, err := r.lookUp(p, how.Flags&unix.O_NOFOLLOW, how.Resolve)
			if err == nil {
				return r.useExisting(fd, how)
			}
			// Not there; or a link whose target ends with a slash, which the kernel refuses as a new folder.
			if isFolder || !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
				return failed(err)
			}
		}
		folder, name, err := r.openParent(p, how.Resolve)
		if errors.Is(err, errInProc) {
			return r.createInProc(p, slash)
		}
		if err != nil {
			return failed(err)
		}
		defer unix.Close(folder)
		fd, err := openat2(folder, name, unix.OpenHow{Mode: how.Mode,
			Flags: how.Flags | unix.O_EXCL | unix.O_CLOEXEC | unix.O_NOCTTY})
		if !errors.Is(err, unix.EEXIST) || exclusive {
			return opened(fd, how, err)
		}
		// It is there by now; or it is a link to what is not.
		if target, err := readlink(folder, trimmed); err == nil {
			if how.Resolve != 0 || how.Flags&unix.O_NOFOLLOW != 0 {
				return failed(unix.ELOOP)
			}
			p = place{folder, target}
		}
	}
	return failed(unix.ELOOP)
}

// createInProc fails as the kernel does.
func (r *request) createInProc(p place, slash bool) Result {
	if slash {
		return failed(unix.EISDIR)
	}
	fd, err := r.lookUp(p, unix.O_NOFOLLOW, 0)
	if err == nil {
		unix.Close(fd)
		err = unix.EEXIST
	}
	return failed(err)
}

// useExisting is use for a file that was to be made. It takes over the descriptor.
func (r *request) useExisting(fd int, how unix.OpenHow) Result {
	err := unix.EISDIR
	if how.Flags&unix.O_EXCL != 0 {
		err = unix.EEXIST
	} else if !isFolder(fd) {
		how.Flags &^= unix.O_CREAT
		how.Mode = 0
		return r.use(fd, how)
	}
	unix.Close(fd)
	return failed(err)
}
