package determinism

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
)

// firstThread is the one that Go never ends: packages are initialized on it.
var firstThread = unix.Gettid()

// asTracer does something as the tracer of a task, which goes on waiting for its answer, and lets go of it.
//
// PTRACE_DETACH wants the task stopped, which it cannot be while it waits. So this is done by a thread of its own: when a
// tracer ends, the kernel detaches what it traces. See ptrace(2).
func asTracer(task int, do func() error) error {
	type outcome struct {
		thread int // a pidfd
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread() // without an unlock the thread ends with the function
		if unix.Gettid() == firstThread {
			defer runtime.UnlockOSThread()
			done <- outcome{-1, asTracer(task, do)} // by another thread, as this one is taken
			return
		}
		thread, err := unix.PidfdOpen(unix.Gettid(), unix.PIDFD_THREAD)
		if err == nil {
			err = unix.PtraceSeize(task)
		}
		if err != nil {
			err = fmt.Errorf("trace task %d: %w", task, err)
		} else {
			err = do()
		}
		done <- outcome{thread, err}
	}()
	result := <-done
	if result.thread < 0 {
		return result.err
	}
	defer unix.Close(result.thread)
	return errors.Join(result.err, proc.AwaitEnd(result.thread))
}
