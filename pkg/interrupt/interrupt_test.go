package interrupt_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/interrupt"
)

// A read of an empty pipe is restarted after each signal, until its descriptor leads elsewhere.
func TestSleeps(t *testing.T) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ends[1])
	defer unix.Close(ends[0])
	other, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	var count int
	interrupt.Sleeps(func() {
		count, err = unix.Read(ends[0], make([]byte, 8))
	}, func() {
		if err := unix.Dup3(other, ends[0], unix.O_CLOEXEC); err != nil {
			t.Error(err)
		}
	})
	if count != 8 || err != nil {
		t.Errorf("read %d bytes, error %v", count, err)
	}
}

func TestWhatDoesNotSleep(t *testing.T) {
	done := false
	interrupt.Sleeps(func() { done = true }, func() {})
	if !done {
		t.Error("it was not done")
	}
}
