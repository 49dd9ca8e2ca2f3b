package hosts

import (
	"encoding/binary"
	"path"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// Path is the file in whose place ours is opened.
const Path = "/etc/hosts"

// Calls are the names of the system calls by which files are opened to be read.
var Calls = []string{"open", "openat", "openat2"}

// longest is how much of a path is looked at: more than Path in any usual spelling.
const longest = 64

// Handle gives who opens Path to read it the file. That is a view, not a decision: who gets around it, by a path of
// another spelling, reads the host's file if that is granted, and may reach no other peer than before.
func (f File) Handle(n *notify.Notification) supervise.Action {
	name, flags := openedBy(n)
	var buffer [longest]byte
	length, err := n.ReadString(buffer[:], name, longest-1)
	if err != nil || path.Clean(string(buffer[:length])) != Path {
		return supervise.Continue()
	}
	const other = unix.O_ACCMODE | unix.O_PATH | unix.O_DIRECTORY | unix.O_CREAT | unix.O_TRUNC
	given, err := flags()
	if err != nil || given&other != unix.O_RDONLY {
		return supervise.Continue()
	}
	fd, err := f.open()
	if err != nil {
		return supervise.Fail(unix.EIO)
	}
	return supervise.GiveFD(fd, uint32(given&unix.O_CLOEXEC))
}

// openedBy gives where the path is that a call opens, and how to learn its flags.
func openedBy(n *notify.Notification) (name uint64, flags func() (uint64, error)) {
	args := n.Args()
	in := func(argument int) func() (uint64, error) {
		return func() (uint64, error) { return args[argument], nil }
	}
	switch n.Syscall() {
	case unix.SYS_OPENAT:
		return args[1], in(2)
	case unix.SYS_OPENAT2:
		return args[1], func() (uint64, error) {
			var how [8]byte // the first field of struct open_how
			if count, err := n.Read(how[:], args[2]); err != nil || count != len(how) {
				return 0, unix.EFAULT
			}
			return binary.NativeEndian.Uint64(how[:]), nil
		}
	}
	return args[0], in(1) // open
}
