package proc

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// AwaitEnd blocks until the process or the thread of a pidfd has ended.
func AwaitEnd(pidfd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for the end of a process: %w", err)
		}
	}
}
