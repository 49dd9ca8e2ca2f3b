// Package interrupt ends sleeps of our own threads in system calls on what is a task's, which last as long as the task
// likes.
package interrupt

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a thread may sleep, and pace how often it is interrupted from then on.
const (
	patience = 20 * time.Millisecond
	pace     = time.Millisecond
)

// Sleeps does something that is not to sleep, on one OS thread. If it does not return soon, its sleeps are interrupted
// until it does, and before each interruption late is called, on another thread. A call that the kernel restarts after
// a signal sleeps again: late is to see to it that it does not.
func Sleeps(do, late func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := unix.Gettid()
	done, ended := make(chan struct{}), make(chan struct{})
	timer := time.AfterFunc(patience, func() {
		defer close(ended)
		for {
			late()
			// The Go runtime's own signal for this: it has a handler, and means nothing when it comes unasked.
			_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
			select {
			case <-done:
				return
			case <-time.After(pace):
			}
		}
	})
	defer func() {
		close(done)
		if !timer.Stop() {
			<-ended
		}
	}()
	do()
}

// Close closes descriptors that share open files with a task. Ours may be the last of a socket that lingers at its end
// (SO_LINGER in socket(7)): the kernel goes on with that alone.
func Close(fds ...int) {
	Sleeps(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}, func() {})
}
