package deputy

import (
	"maps"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A pathArgument says which argument is a path, and which one the folder that it is relative to; -1: the working
// directory.
type pathArgument struct{ folder, path int }

// A call is how to perform one system call.
type call struct {
	paths []pathArgument
	do    func(*request) Result
	// input is the argument that points to a struct of inputSize bytes, if that is not 0.
	input, inputSize int
}

var (
	here   = []pathArgument{{-1, 0}}
	at     = []pathArgument{{0, 1}}
	bothAt = []pathArgument{{0, 1}, {2, 3}}
)

// calls are those that can be performed for somebody else, on every architecture.
var calls = map[int]call{
	unix.SYS_OPENAT:     {paths: at, do: func(r *request) Result { return r.doOpen(r.args[2], r.args[3]) }},
	unix.SYS_OPENAT2:    {paths: at, do: (*request).doOpenat2, input: 2, inputSize: openHowSize},
	unix.SYS_UNLINKAT:   {paths: at, do: func(r *request) Result { return r.doUnlink(int(r.args[2])) }},
	unix.SYS_MKDIRAT:    {paths: at, do: func(r *request) Result { return r.doMkdir(r.args[2]) }},
	unix.SYS_MKNODAT:    {paths: at, do: func(r *request) Result { return r.doMknod(r.args[2], r.args[3]) }},
	unix.SYS_READLINKAT: {paths: at, do: func(r *request) Result { return r.doReadlink(r.args[2], r.args[3]) }},
	unix.SYS_STATX:      {paths: at, do: (*request).doStatx},
	unix.SYS_FACCESSAT:  {paths: at, do: func(r *request) Result { return r.doAccess(r.args[2], 0) }},
	unix.SYS_FACCESSAT2: {paths: at, do: func(r *request) Result { return r.doAccess(r.args[2], r.args[3]) }},
	unix.SYS_FCHMODAT:   {paths: at, do: func(r *request) Result { return r.doChmod(r.args[2]) }},
	unix.SYS_FCHOWNAT:   {paths: at, do: func(r *request) Result { return r.doChown(r.args[2], r.args[3], r.follows(4)) }},
	unix.SYS_UTIMENSAT:  {paths: at, do: (*request).doUtimensat, input: 2, inputSize: 2 * int(unsafe.Sizeof(unix.Timespec{}))},
	unix.SYS_RENAMEAT2:  {paths: bothAt, do: func(r *request) Result { return r.doRename(uint(r.args[4])) }},
	unix.SYS_LINKAT:     {paths: bothAt, do: func(r *request) Result { return r.doLink(r.args[4]&unix.AT_SYMLINK_FOLLOW != 0) }},
	unix.SYS_SYMLINKAT:  {paths: []pathArgument{{-1, 0}, {1, 2}}, do: (*request).doSymlink},
	unix.SYS_TRUNCATE:   {paths: here, do: (*request).doTruncate},
	unix.SYS_STATFS:     {paths: here, do: (*request).doStatfs},
}

func init() { maps.Copy(calls, nativeCalls) }

// follows reports whether the AT_ flags in an argument let the last symbolic link be followed.
func (r *request) follows(argument int) bool { return r.args[argument]&unix.AT_SYMLINK_NOFOLLOW == 0 }

// openFlags are the flags that open(2) heeds; it ignores others, which openat2(2) refuses.
const openFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_ASYNC | unix.O_CLOEXEC | unix.O_CREAT | unix.O_DIRECT |
	unix.O_DIRECTORY | unix.O_DSYNC | unix.O_EXCL | unix.O_LARGEFILE | unix.O_NOATIME | unix.O_NOCTTY |
	unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_PATH | unix.O_SYNC | unix.O_TMPFILE | unix.O_TRUNC

func (r *request) doOpen(flags, mode uint64) Result {
	how := unix.OpenHow{Flags: flags & openFlags}
	if flags&unix.O_PATH != 0 {
		how.Flags &= unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	} else if flags&unix.O_CREAT != 0 || flags&unix.O_TMPFILE == unix.O_TMPFILE {
		how.Mode = mode & 0o7777
	}
	return r.opened(how)
}

// openHowSize is the size of struct open_how; a longer one is of a newer kernel than this code.
const openHowSize = int(unsafe.Sizeof(unix.OpenHow{}))

func (r *request) doOpenat2() Result {
	if r.args[3] != uint64(openHowSize) {
		return failed(unix.E2BIG)
	}
	if r.input == nil {
		return failed(unix.EFAULT)
	}
	return r.opened(*(*unix.OpenHow)(unsafe.Pointer(&r.input[0])))
}

func (r *request) opened(how unix.OpenHow) Result {
	if how.Flags&(unix.O_PATH|unix.O_NONBLOCK) == 0 {
		if fifo := r.findFIFO(how); fifo >= 0 {
			return r.openFIFO(fifo, how)
		}
	}
	fd, err := r.open(0, how)
	if err != nil {
		return failed(err)
	}
	return Result{FD: fd, CloseOnExec: how.Flags&unix.O_CLOEXEC != 0}
}

func (r *request) doUnlink(flags int) Result {
	folder, name, err := r.parent(0)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(folder)
	return returned(unix.Unlinkat(folder, name, flags))
}

func (r *request) doMkdir(mode uint64) Result {
	folder, name, err := r.parent(0)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(folder)
	return returned(unix.Mkdirat(folder, name, uint32(mode)))
}

func (r *request) doMknod(mode, device uint64) Result {
	folder, name, err := r.parent(0)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(folder)
	return returned(unix.Mknodat(folder, name, uint32(mode), int(uint32(device))))
}

func (r *request) doRename(flags uint) Result {
	from, oldName, err := r.parent(0)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(from)
	to, newName, err := r.parent(1)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(to)
	return returned(unix.Renameat2(from, oldName, to, newName, flags))
}

func (r *request) doLink(follow bool) Result {
	source, err := r.find(0, follow)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(source)
	to, newName, err := r.parent(1)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(to)
	return returned(unix.Linkat(unix.AT_FDCWD, ownLink(source), to, newName, unix.AT_SYMLINK_FOLLOW))
}

// doSymlink takes the target as it is: it is text, and named nothing yet.
func (r *request) doSymlink() Result {
	folder, name, err := r.parent(1)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(folder)
	return returned(unix.Symlinkat(r.places[0].path, folder, name))
}

func (r *request) doReadlink(address, size uint64) Result {
	fd, err := r.find(0, false)
	if err != nil {
		return failed(err)
	}
	read := func() Result {
		defer unix.Close(fd)
		if int32(size) <= 0 {
			return failed(unix.EINVAL)
		}
		target := make([]byte, min(size, unix.PathMax))
		n, err := unix.Readlinkat(fd, "", target)
		if err != nil {
			return failed(err)
		}
		return give(target[:n], address, int64(n))
	}
	if r.foundOwn { // the magic links of /proc are the task's to read, but not a thread's of its domain's neighbour
		return Result{outside: read}
	}
	return read()
}

func (r *request) doStat(address uint64, follow bool) Result {
	fd, err := r.find(0, follow)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return failed(err)
	}
	return give(bytesOf(&st), address, 0)
}

func (r *request) doStatx() Result {
	fd, err := r.find(0, r.follows(2))
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	flags := int(r.args[2])&(unix.AT_STATX_FORCE_SYNC|unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT) | unix.AT_EMPTY_PATH
	if err := unix.Statx(fd, "", flags, int(r.args[3]), &st); err != nil {
		return failed(err)
	}
	return give(bytesOf(&st), r.args[4], 0)
}

func (r *request) doStatfs() Result {
	fd, err := r.find(0, true)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return failed(err)
	}
	return give(bytesOf(&fs), r.args[1], 0)
}

func (r *request) doAccess(mode, flags uint64) Result {
	fd, err := r.find(0, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	return returned(unix.Faccessat2(fd, "", uint32(mode), int(flags&unix.AT_EACCESS)|unix.AT_EMPTY_PATH))
}

func (r *request) doChmod(mode uint64) Result {
	fd, err := r.find(0, true)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	return returned(unix.Fchmodat(unix.AT_FDCWD, ownLink(fd), uint32(mode), 0))
}

func (r *request) doChown(uid, gid uint64, follow bool) Result {
	fd, err := r.find(0, follow)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	return returned(unix.Fchownat(fd, "", int(int32(uid)), int(int32(gid)), unix.AT_EMPTY_PATH))
}

func (r *request) doUtimensat() Result {
	fd, err := r.find(0, r.follows(3))
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	path, err := unix.BytePtrFromString(ownLink(fd))
	if err != nil {
		return failed(err)
	}
	here := unix.AT_FDCWD
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(here), uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(unsafe.SliceData(r.input))), 0, 0, 0)
	if errno != 0 {
		return failed(errno)
	}
	return Result{FD: -1}
}

func (r *request) doTruncate() Result {
	fd, err := r.open(0, unix.OpenHow{Flags: unix.O_WRONLY | unix.O_NONBLOCK | unix.O_NOCTTY})
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	return returned(unix.Ftruncate(fd, int64(r.args[1])))
}

// ownLink is a path that leads to an open file of this thread, for calls that take no descriptor.
func ownLink(fd int) string { return "/proc/thread-self/fd/" + strconv.Itoa(fd) }

// bytesOf is the memory of a struct of the kernel's.
func bytesOf[T any](value *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(value)), unsafe.Sizeof(*value))
}
