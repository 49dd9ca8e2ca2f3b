package hosts

import (
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
	name, flags, err := n.OpenArguments()
	if err != nil {
		return supervise.Continue()
	}
	var buffer [longest]byte
	length, err := n.ReadString(buffer[:], name, longest-1)
	if err != nil || path.Clean(string(buffer[:length])) != Path {
		return supervise.Continue()
	}
	const other = unix.O_ACCMODE | unix.O_PATH | unix.O_DIRECTORY | unix.O_CREAT | unix.O_TRUNC
	if flags&other != unix.O_RDONLY {
		return supervise.Continue()
	}
	fd, err := f.open()
	if err != nil {
		return supervise.Fail(unix.EIO)
	}
	return supervise.GiveFD(fd, uint32(flags&unix.O_CLOEXEC))
}
