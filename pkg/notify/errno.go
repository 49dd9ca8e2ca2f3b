package notify

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ErrnoOf is what a task is told of an error of ours: EMFILE when its descriptor table is full, for one; EIO where there
// is nothing better to say.
func ErrnoOf(err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
