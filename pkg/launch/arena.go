package launch

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stackSize is what reaper and command get each: their deepest frame holds a 4 KiB buffer.
const stackSize = 32 << 10

// arena is memory outside Go's heap for what outlives the call that starts a command: the reaper reads it until the
// tree is gone, and the collector must neither move nor free it.
type arena struct {
	memory   []byte
	used     int
	reusable bool
}

// spare are arenas of common size for the next launches: to map one, to have its pages filled and to unmap it, with the
// other CPUs told, takes longer than what is written into it.
var spare struct {
	sync.Mutex
	memory [][]byte
}

const (
	commonSize = 128 << 10
	maxSpare   = 8
)

// newArena gives an arena of at least a size. Where the command is going to have a copy of the host's memory, copied
// says so: the arena is then what the two go on sharing.
func newArena(size int, copied bool) (*arena, error) {
	sharing, reusable := unix.MAP_PRIVATE, size <= commonSize && !copied
	if copied {
		sharing = unix.MAP_SHARED
	}
	if reusable {
		size = commonSize
		if memory := takeSpare(); memory != nil {
			return &arena{memory: memory, reusable: true}, nil
		}
	}
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, sharing|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for the launch: %w", size, err)
	}
	return &arena{memory: memory, reusable: reusable}, nil
}

func takeSpare() []byte {
	spare.Lock()
	defer spare.Unlock()
	last := len(spare.memory) - 1
	if last < 0 {
		return nil
	}
	memory := spare.memory[last]
	spare.memory = spare.memory[:last]
	return memory
}

func keepSpare(memory []byte) bool {
	spare.Lock()
	defer spare.Unlock()
	if len(spare.memory) == maxSpare {
		return false
	}
	spare.memory = append(spare.memory, memory)
	return true
}

// free gives the memory back. Nobody may use it any more.
func (a *arena) free() error {
	if a.reusable && keepSpare(a.memory) {
		return nil
	}
	if err := unix.Munmap(a.memory); err != nil {
		return fmt.Errorf("unmap the launch: %w", err)
	}
	return nil
}

// take returns size zeroed bytes, aligned for any of the kernel's structs.
func (a *arena) take(size int) unsafe.Pointer {
	start := a.used
	a.used += roundUp(size)
	taken := a.memory[start:a.used]
	clear(taken)
	return unsafe.Pointer(&taken[0])
}

// stack returns the end of a new stack: stacks grow down.
func (a *arena) stack() unsafe.Pointer {
	a.used += stackSize
	return unsafe.Pointer(&a.memory[a.used:][0])
}

func roundUp(size int) int { return (max(size, 1) + 15) &^ 15 }

// placeValue copies a struct without Go pointers and answers with its address.
func placeValue[T any](a *arena, value T) uint64 {
	p := a.take(int(unsafe.Sizeof(value)))
	*(*T)(p) = value
	return uint64(uintptr(p))
}
