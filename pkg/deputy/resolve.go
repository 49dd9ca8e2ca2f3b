package deputy

import (
	"errors"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A place is a path as the task means it: relative to base, unless it is absolute.
type place struct {
	base int // a descriptor of ours
	path string
}

// maxLinks is how many symbolic links a path may have: see path_resolution(7).
const maxLinks = 40

// open opens a place in the calling thread's domain, not for use: flags are O_NOFOLLOW and O_DIRECTORY.
func (p place) open(flags, resolve uint64) (int, error) {
	return openat2(p.base, p.path, unix.OpenHow{Flags: flags | unix.O_PATH | unix.O_CLOEXEC,
		Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS})
}

// split cuts a path in two: the folder, and the last component with the slashes that follow it.
func (p place) split() (folder place, name string) {
	end := len(strings.TrimRight(p.path, "/"))
	cut := strings.LastIndexByte(p.path[:end], '/') + 1
	return place{p.base, p.path[:cut]}, p.path[cut:]
}

// openParent opens the folder of what a place names, and gives its name there. The caller closes it.
func (p place) openParent(resolve uint64) (fd int, name string, err error) {
	if p.path == "" {
		return -1, "", unix.ENOENT
	}
	if len(p.path) >= unix.PathMax {
		return -1, "", unix.ENAMETOOLONG
	}
	folder, name := p.split()
	if folder.path == "" {
		fd, err = duplicate(p.base)
	} else {
		fd, err = folder.open(unix.O_DIRECTORY, resolve)
	}
	return fd, name, err
}

// lookUp opens what a place names, not for use. The caller closes it. request.own tells whether it is an ownFile.
func (r *request) lookUp(p place, flags, resolve uint64) (int, error) {
	r.own = nil
	fd, err := p.open(flags, resolve)
	switch {
	case err == nil:
		fd, err = r.replaceOwn(fd)
	case resolve == 0 && (errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOENT)):
		// A magic link was met; or one of the task's, which the host's process has not.
		fd, err = r.lookUpLink(p, flags, err)
	}
	if err != nil {
		return -1, err
	}
	if err := r.judgeFile(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// replaceOwn puts the task's own file in the place of one in the host's own folder of /proc. It takes over the
// descriptor.
func (r *request) replaceOwn(fd int) (int, error) {
	own, ok, err := r.ownFile(fd, "")
	if err == nil && !ok {
		return fd, nil
	}
	unix.Close(fd)
	if err != nil {
		return -1, err
	}
	return r.takeOwn(own)
}

// takeOwn takes an ownFile, not for use, and a link not to be followed.
func (r *request) takeOwn(own ownFile) (int, error) {
	own.how.Flags = unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC
	r.own = &own
	return r.take(own)
}

// ownFile tells whether a descriptor is of a file that is the task's own in /proc, or of the folder of one.
func (r *request) ownFile(fd int, below string) (ownFile, bool, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return ownFile{}, false, err
	}
	if fs.Type != unix.PROC_SUPER_MAGIC {
		return ownFile{}, false, nil
	}
	name, err := nameOf(fd)
	if err != nil {
		return ownFile{}, false, err
	}
	if name != "/proc" && !strings.HasPrefix(name, "/proc/") {
		return ownFile{}, false, unix.EACCES // another mount of it, with the host's process under a name that we do not know
	}
	own, ok := r.caller.ownFileOf(path.Join(name, below))
	return own, ok, nil
}

// lookUpLink follows the links at the end of a place one by one, to a magic link of the task's own. What is no such
// place fails as the kernel said.
func (r *request) lookUpLink(p place, flags uint64, failure error) (int, error) {
	for range maxLinks {
		folder, name, err := p.openParent(0)
		if err != nil {
			return -1, failure
		}
		defer unix.Close(folder)
		trimmed := strings.TrimRight(name, "/")
		own, ok, err := r.ownFile(folder, trimmed)
		if err != nil {
			return -1, err
		}
		if ok && own.isMagic() {
			if flags&unix.O_NOFOLLOW != 0 && trimmed == name {
				return r.takeOwn(own)
			}
			own.follow = true
			fd, err := r.take(own)
			if err == nil && (flags&unix.O_DIRECTORY != 0 || trimmed != name) && !isFolder(fd) {
				unix.Close(fd)
				return -1, unix.ENOTDIR
			}
			return fd, err
		}
		if flags&unix.O_NOFOLLOW != 0 {
			return -1, failure
		}
		target, err := readlink(folder, trimmed)
		if err != nil {
			return -1, failure
		}
		p = place{folder, target + name[len(trimmed):]}
	}
	return -1, unix.ELOOP
}

func isFolder(fd int) bool {
	kind, err := kindOf(fd)
	return err == nil && kind == unix.S_IFDIR
}

// judgeFile says whether what was found may be used: whether its name was judged. What is no file of a file tree, such
// as a pipe, has no name.
func (r *request) judgeFile(fd int) error {
	if r.judged == nil {
		return nil
	}
	name, err := nameOf(fd)
	if err != nil || !strings.HasPrefix(name, "/") {
		return err
	}
	return r.judge(name)
}

// errUnjudged says that a path leads to what was not judged yet: request.unjudged.
var errUnjudged = errors.New("the path leads to what was not judged")

func (r *request) judge(name string) error {
	if r.judged == nil || r.judged[name] {
		return nil
	}
	r.unjudged = name
	return errUnjudged
}

// nameOf is the path of an open file, without the kernel's mark for one that was removed.
func nameOf(fd int) (string, error) {
	name, err := readlink(unix.AT_FDCWD, ownLink(fd))
	if err != nil {
		return "", err
	}
	if cut, found := strings.CutSuffix(name, " (deleted)"); found {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return "", err
		}
		if st.Nlink == 0 {
			name = cut
		}
	}
	return name, nil
}

func readlink(folder int, name string) (string, error) {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(folder, name, buffer)
	return string(buffer[:max(n, 0)]), err
}

// openat2 is openat2(2), repeated when a signal interrupts it: Go's own do.
func openat2(base int, path string, how unix.OpenHow) (int, error) {
	for {
		fd, err := unix.Openat2(base, path, &how)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// reopen opens for use what a descriptor is of.
func reopen(fd int, how unix.OpenHow) (int, error) {
	how.Flags |= unix.O_CLOEXEC | unix.O_NOCTTY // a terminal would become the host's
	how.Flags &^= unix.O_NOFOLLOW
	how.Resolve = 0
	return openat2(unix.AT_FDCWD, ownLink(fd), how)
}

// ownLink is a path that leads to an open file of this thread, for calls that take no descriptor.
func ownLink(fd int) string { return "/proc/thread-self/fd/" + strconv.Itoa(fd) }

func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
