package launch

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// hostThread is the number of a thread that does nothing, and ends only with the host's program: with the process, or
// when another thread calls execve(2), which the process survives.
var hostThread = sync.OnceValue(func() int {
	number := make(chan int)
	go func() {
		runtime.LockOSThread()
		number <- unix.Gettid()
		select {}
	}()
	return <-number
})
