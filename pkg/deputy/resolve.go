package deputy

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A place is a path as the task means it: relative to base, unless it is absolute.
type place struct {
	base int // a descriptor of ours
	path string
	task int
}

// open opens a place with the flags of openat2(2), in the calling thread's domain.
func (p place) open(how unix.OpenHow) (int, error) {
	how.Resolve |= unix.RESOLVE_NO_MAGICLINKS
	how.Flags |= unix.O_CLOEXEC
	fd, err := openat2(p.base, p.path, how)
	if err != nil {
		return -1, err
	}
	own, rest, err := ownProcess(fd)
	if err != nil || !own {
		if err == nil {
			err = refuseTerminal(fd)
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		return fd, nil
	}
	unix.Close(fd)
	return -1, &ownPathError{rest}
}

// An ownPathError says that a path leads below the host's own folder in /proc, and where: the task means its own.
type ownPathError struct{ rest string }

func (*ownPathError) Error() string { return "the path leads to the host's own process" }

// openOwn opens a file in the task's own folder of /proc. The calling thread must be outside of the domain, which keeps
// its threads from looking into the task.
func (p place) openOwn(rest string, how unix.OpenHow) (int, error) {
	how.Resolve |= unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_BENEATH
	how.Flags |= unix.O_CLOEXEC
	folder, err := unix.Open("/proc/"+strconv.Itoa(p.task), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(folder)
	return openat2(folder, rest, how)
}

func openat2(base int, path string, how unix.OpenHow) (int, error) {
	for {
		fd, err := unix.Openat2(base, path, &how)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) { // EAGAIN: a rename raced with the walk
			return fd, err
		}
	}
}

// ownProcess tells whether a descriptor is of a file in /proc that belongs to this process, and its path below there.
func ownProcess(fd int) (bool, string, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return false, "", err
	}
	if fs.Type != unix.PROC_SUPER_MAGIC {
		return false, "", nil
	}
	path, err := os.Readlink("/proc/thread-self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return false, "", err
	}
	rest, found := strings.CutPrefix(path, "/proc/"+strconv.Itoa(os.Getpid()))
	if !found || rest != "" && rest[0] != '/' {
		return false, "", nil
	}
	rest = strings.TrimPrefix(rest, "/")
	// Threads have folders of their own; the task's is the one that we look into.
	if threads, found := strings.CutPrefix(rest, "task/"); found {
		_, rest, _ = strings.Cut(threads, "/")
	}
	if rest == "" {
		rest = "."
	}
	return true, rest, nil
}

// refuseTerminal keeps /dev/tty from being the host's terminal: the kernel looks it up in the calling process, and the
// task has none.
func refuseTerminal(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(5, 0) {
		return unix.ENXIO
	}
	return nil
}
