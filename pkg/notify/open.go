package notify

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// OpenArguments gives, of a call that opens a file by open(2), openat(2) or openat2(2), the address of the path and the
// flags.
func (n *Notification) OpenArguments() (path, flags uint64, err error) {
	args := n.Args()
	switch n.Syscall() {
	case unix.SYS_OPENAT:
		return args[1], args[2], nil
	case unix.SYS_OPENAT2:
		var how [8]byte // struct open_how begins with the flags
		if count, err := n.Read(how[:], args[2]); err != nil || count != len(how) {
			return 0, 0, fmt.Errorf("read the flags of an openat2: %w", unix.EFAULT)
		}
		return args[1], binary.NativeEndian.Uint64(how[:]), nil
	}
	return args[0], args[1], nil // open
}
