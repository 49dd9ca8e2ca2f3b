package deputy

import "golang.org/x/sys/unix"

// largeFile is the kernel's O_LARGEFILE, which open(2) implies; package unix has glibc's, 0.
const largeFile = 0o400000

// nativeCalls are those that only this architecture has, or that are spelled differently: the kernel's table says
// newfstatat everywhere.
var nativeCalls = map[int]call{
	unix.SYS_FSTATAT: {paths: at, do: func(r *request) Result { return r.doStat(r.args[2], r.follows()) },
		flags: 3, knownFlags: statFlags, nullPath: (*request).mayBeEmpty},
	unix.SYS_RENAMEAT: {paths: bothAt, do: func(r *request) Result { return r.doRename(0) }},
}
