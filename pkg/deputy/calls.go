package deputy

import (
	"maps"
	"os"
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
	// flags is the argument with AT_ or RENAME_ flags, 0 if there is none. Others than the known ones are EINVAL.
	flags      int
	knownFlags uint64
	// input is the argument that points to a struct, 0 if there is none: of inputSize bytes, or of as many as the
	// argument inputLength says.
	input, inputSize, inputLength int
	// asRealUser says that the kernel looks at the real user instead of the effective one.
	asRealUser func(*request) bool
	// emptyPath says that the path may be empty also without AT_EMPTY_PATH.
	emptyPath bool
	// nullPath says that with AT_EMPTY_PATH the path may be a null pointer.
	nullPath bool
}

var (
	here   = []pathArgument{{-1, 0}}
	at     = []pathArgument{{0, 1}}
	bothAt = []pathArgument{{0, 1}, {2, 3}}
)

const (
	timesSize = 2 * int(unsafe.Sizeof(unix.Timespec{}))

	linkFlags  = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH
	syncFlags  = unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC
	statFlags  = linkFlags | unix.AT_NO_AUTOMOUNT | syncFlags
	accessFlag = unix.AT_EACCESS
)

// maxInput is the most that a struct may have: see copy_struct_from_user in the kernel.
var maxInput = uint64(os.Getpagesize())

func always(*request) bool { return true }

// calls are those that can be performed for somebody else, on every architecture.
var calls = map[int]call{
	unix.SYS_OPENAT:  {paths: at, do: func(r *request) Result { return r.doOpen(r.args[2], r.args[3]) }},
	unix.SYS_OPENAT2: {paths: at, do: (*request).doOpenat2, input: 2, inputLength: 3},
	unix.SYS_UNLINKAT: {paths: at, do: func(r *request) Result { return r.doUnlink(int(r.flags)) },
		flags: 2, knownFlags: unix.AT_REMOVEDIR},
	unix.SYS_MKDIRAT:    {paths: at, do: func(r *request) Result { return r.doMkdir(r.args[2]) }},
	unix.SYS_MKNODAT:    {paths: at, do: func(r *request) Result { return r.doMknod(r.args[2], r.args[3]) }},
	unix.SYS_READLINKAT: {paths: at, emptyPath: true, do: func(r *request) Result { return r.doReadlink(r.args[2], r.args[3]) }},
	unix.SYS_STATX:      {paths: at, do: (*request).doStatx, flags: 2, knownFlags: statFlags, nullPath: true},
	unix.SYS_FACCESSAT:  {paths: at, do: func(r *request) Result { return r.doAccess(r.args[2]) }, asRealUser: always},
	unix.SYS_FACCESSAT2: {paths: at, do: func(r *request) Result { return r.doAccess(r.args[2]) },
		flags: 3, knownFlags: linkFlags | accessFlag,
		asRealUser: func(r *request) bool { return r.args[3]&unix.AT_EACCESS == 0 }},
	unix.SYS_FCHMODAT:  {paths: at, do: func(r *request) Result { return r.doChmod(r.args[2]) }},
	unix.SYS_FCHMODAT2: {paths: at, do: func(r *request) Result { return r.doChmod(r.args[2]) }, flags: 3, knownFlags: linkFlags},
	unix.SYS_FCHOWNAT: {paths: at, do: func(r *request) Result { return r.doChown(r.args[2], r.args[3], r.follows()) },
		flags: 4, knownFlags: linkFlags},
	unix.SYS_UTIMENSAT: {paths: at, do: (*request).doUtimensat, flags: 3, knownFlags: linkFlags,
		input: 2, inputSize: timesSize},
	unix.SYS_RENAMEAT2: {paths: bothAt, do: func(r *request) Result { return r.doRename(uint(r.flags)) },
		flags: 4, knownFlags: unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT},
	unix.SYS_LINKAT: {paths: bothAt, do: func(r *request) Result { return r.doLink(r.flags&unix.AT_SYMLINK_FOLLOW != 0) },
		flags: 4, knownFlags: unix.AT_SYMLINK_FOLLOW | unix.AT_EMPTY_PATH},
	unix.SYS_SYMLINKAT: {paths: []pathArgument{{-1, 0}, {1, 2}}, do: (*request).doSymlink},
	unix.SYS_TRUNCATE:  {paths: here, do: (*request).doTruncate},
	unix.SYS_STATFS:    {paths: here, do: (*request).doStatfs},
}

func init() { maps.Copy(calls, nativeCalls) }
