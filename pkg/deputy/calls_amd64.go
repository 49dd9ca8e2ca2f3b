package deputy

import "golang.org/x/sys/unix"

var bothHere = []pathArgument{{-1, 0}, {-1, 1}}

// nativeCalls are those that only the older architectures have, or that are spelled differently.
var nativeCalls = map[int]call{
	unix.SYS_OPEN:  {paths: here, do: func(r *request) Result { return r.doOpen(r.args[1], r.args[2]) }},
	unix.SYS_CREAT: {paths: here, do: func(r *request) Result { return r.doOpen(unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, r.args[1]) }},
	unix.SYS_STAT:  {paths: here, do: func(r *request) Result { return r.doStat(r.args[1], true) }},
	unix.SYS_LSTAT: {paths: here, do: func(r *request) Result { return r.doStat(r.args[1], false) }},
	unix.SYS_NEWFSTATAT: {paths: at, do: func(r *request) Result { return r.doStat(r.args[2], r.follows()) },
		flags: 3, knownFlags: statFlags, nullPath: true},
	unix.SYS_ACCESS:   {paths: here, do: func(r *request) Result { return r.doAccess(r.args[1]) }, asRealUser: always},
	unix.SYS_READLINK: {paths: here, emptyPath: true, do: func(r *request) Result { return r.doReadlink(r.args[1], r.args[2]) }},
	unix.SYS_UNLINK:   {paths: here, do: func(r *request) Result { return r.doUnlink(0) }},
	unix.SYS_RMDIR:    {paths: here, do: func(r *request) Result { return r.doUnlink(unix.AT_REMOVEDIR) }},
	unix.SYS_MKDIR:    {paths: here, do: func(r *request) Result { return r.doMkdir(r.args[1]) }},
	unix.SYS_CHMOD:    {paths: here, do: func(r *request) Result { return r.doChmod(r.args[1]) }},
	unix.SYS_CHOWN:    {paths: here, do: func(r *request) Result { return r.doChown(r.args[1], r.args[2], true) }},
	unix.SYS_LCHOWN:   {paths: here, do: func(r *request) Result { return r.doChown(r.args[1], r.args[2], false) }},
	unix.SYS_RENAME:   {paths: bothHere, do: func(r *request) Result { return r.doRename(0) }},
	unix.SYS_RENAMEAT: {paths: bothAt, do: func(r *request) Result { return r.doRename(0) }},
	unix.SYS_LINK:     {paths: bothHere, do: func(r *request) Result { return r.doLink(false) }},
	unix.SYS_SYMLINK:  {paths: bothHere, do: (*request).doSymlink},
}
