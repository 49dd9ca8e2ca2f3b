package deputy

import (
	"errors"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
	if flags&unix.RENAME_EXCHANGE != 0 && flags&(unix.RENAME_NOREPLACE|unix.RENAME_WHITEOUT) != 0 {
		return failed(unix.EINVAL)
	}
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
	if int32(size) <= 0 {
		return failed(unix.EINVAL)
	}
	fd, err := r.find(0, false)
	if err != nil {
		return failed(err)
	}
	read := func() Result {
		defer unix.Close(fd)
		target, err := r.targetOf(fd)
		if errors.Is(err, unix.ENOENT) && r.places[0].path != "" { // what an empty path to no link gives
			err = unix.EINVAL
		}
		if err != nil {
			return failed(err)
		}
		data := []byte(target[:min(len(target), int(int32(size)))])
		return give(data, address, int64(len(data)))
	}
	if r.own != nil { // the magic links of /proc are the task's to read, but not a thread's of its domain's neighbour
		return Result{outside: read}
	}
	return read()
}

// targetOf reads a link; those to the own process are the task's.
func (r *request) targetOf(fd int) (string, error) {
	target, err := readlink(fd, "")
	if err != nil {
		return "", err
	}
	switch name, err := nameOf(fd); {
	case err != nil:
		return "", err
	case name == "/proc/self":
		target = strconv.Itoa(r.caller.process)
	case name == "/proc/thread-self":
		target = strconv.Itoa(r.caller.process) + "/task/" + strconv.Itoa(r.caller.task)
	}
	return target, nil
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
	r.identity.show(&st.Uid, &st.Gid)
	return give(bytesOf(&st), address, 0)
}

func (r *request) doStatx() Result {
	fd, err := r.find(0, r.follows())
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	var st unix.Statx_t
	if err := unix.Statx(fd, "", int(r.flags)|unix.AT_EMPTY_PATH, int(uint32(r.args[3])), &st); err != nil {
		return failed(err)
	}
	r.identity.show(&st.Uid, &st.Gid)
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

// doAccess looks at the credentials that were assumed, which are the real user's where they are to be.
func (r *request) doAccess(mode uint64) Result {
	if mode&0xffffffff > 7 {
		return failed(unix.EINVAL)
	}
	fd, err := r.find(0, r.follows())
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	return returned(unix.Faccessat2(fd, "", uint32(mode), unix.AT_EACCESS|unix.AT_EMPTY_PATH))
}

func (r *request) doChmod(mode uint64) Result {
	fd, err := r.find(0, r.follows())
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	return returned(unix.Chmod(ownLink(fd), uint32(mode)))
}

func (r *request) doChown(uid, gid uint64, follow bool) Result {
	fd, err := r.find(0, follow)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	user, group := uint32(uid), uint32(gid)
	if err := r.identity.mean(&user, &group); err != nil {
		return failed(err)
	}
	return returned(unix.Fchownat(fd, "", int(int32(user)), int(int32(group)), unix.AT_EMPTY_PATH))
}

func (r *request) doUtimensat() Result {
	if times := r.input; times != nil {
		pair := (*[2]unix.Timespec)(unsafe.Pointer(&times[0]))
		if pair[0].Nsec == unix.UTIME_OMIT && pair[1].Nsec == unix.UTIME_OMIT {
			return Result{FD: -1} // the kernel does not even look at the path
		}
	}
	fd, err := r.find(0, r.follows())
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
	length := int64(r.args[1])
	if length < 0 {
		return failed(unix.EINVAL)
	}
	fd, err := r.find(0, true)
	if err != nil {
		return failed(err)
	}
	defer unix.Close(fd)
	// The kernel would look at our limit.
	var limit unix.Rlimit
	if err := unix.Prlimit(r.caller.process, unix.RLIMIT_FSIZE, nil, &limit); err == nil && uint64(length) > limit.Cur {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return failed(err)
		}
		if length > st.Size {
			return failed(unix.EFBIG)
		}
	}
	return returned(unix.Truncate(ownLink(fd), length))
}

// bytesOf is the memory of a struct of the kernel's.
func bytesOf[T any](value *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(value)), unsafe.Sizeof(*value))
}
