package deputy

import "golang.org/x/sys/unix"

// nativeCalls are those that only this architecture has, or that are spelled differently: the kernel's table says
// newfstatat everywhere.
var nativeCalls = map[int]call{
	unix.SYS_FSTATAT: {paths: at, do: func(r *request) Result { return r.doStat(r.args[2], r.follows()) },
		flags: 3, knownFlags: statFlags, nullPath: true},
	unix.SYS_RENAMEAT: {paths: bothAt, do: func(r *request) Result { return r.doRename(0) }},
}
