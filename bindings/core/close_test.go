package core

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The end of a tree may take long, and the runs of a host have nothing to do with each other.
func TestCloseOfOneRunDelaysNoOther(t *testing.T) {
	slow := begin(t, handled(1, []string{"getppid"}, "sleep", "1000"))
	other := begin(t, captured("sleep", "1000"))
	pid := must(PID(slow))(t)
	inUse := &lookUp(slow).mapped
	inUse.RLock() // a worker that keeps the first from being freed
	first := closed(slow)
	for until := time.Now().Add(30 * time.Second); unix.Kill(pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the command lives on")
		}
	}
	again := closed(slow) // when the first is in the middle of it
	select {
	case ours := <-closed(other):
		if !ours {
			t.Error("the other run was not closed")
		}
	case <-time.After(30 * time.Second):
		t.Error("the end of one run waits for that of another")
	}
	select {
	case <-first:
		t.Error("a run was freed while a worker used its memory")
	case <-again:
		t.Error("a second close has not waited for the first")
	default:
	}
	inUse.RUnlock()
	if !<-first || <-again {
		t.Error("the first that closes a run is not who has closed it")
	}
}

// closed closes a run, and gives what Close says.
func closed(handle int64) <-chan bool {
	done := make(chan bool, 1)
	go func() {
		ours, _ := Close(handle)
		done <- ours
	}()
	return done
}
