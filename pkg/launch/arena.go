package launch

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stackSize is what reaper and command get each: their deepest frame holds a 4 KiB buffer.
const stackSize = 32 << 10

// arena is memory outside Go's heap for what outlives the call that starts a command: the reaper reads it until the
// tree is gone, and the collector must neither move nor free it.
type arena struct {
	memory []byte
	used   int
}

// newArena maps an arena. Where the command is going to have a copy of the host's memory, copied says so: the arena is
// then what the two go on sharing.
func newArena(size int, copied bool) (*arena, error) {
	sharing := unix.MAP_PRIVATE
	if copied {
		sharing = unix.MAP_SHARED
	}
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, sharing|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for the launch: %w", size, err)
	}
	return &arena{memory: memory}, nil
}

func (a *arena) free() error {
	if err := unix.Munmap(a.memory); err != nil {
		return fmt.Errorf("unmap the launch: %w", err)
	}
	return nil
}

// take returns size zeroed bytes, aligned for any of the kernel's structs and for a stack's end.
func (a *arena) take(size int) unsafe.Pointer {
	start := a.used
	a.used += roundUp(size)
	return unsafe.Pointer(&a.memory[start:a.used][0])
}

func roundUp(size int) int { return (max(size, 1) + 15) &^ 15 }

// place copies bytes and answers with their address.
func (a *arena) place(data []byte) uint64 {
	p := a.take(len(data))
	copy(unsafe.Slice((*byte)(p), len(data)), data)
	return uint64(uintptr(p))
}

// placeValue copies a struct without Go pointers and answers with its address.
func placeValue[T any](a *arena, value T) uint64 {
	p := a.take(int(unsafe.Sizeof(value)))
	*(*T)(p) = value
	return uint64(uintptr(p))
}
