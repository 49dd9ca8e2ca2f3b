package seccomp

import (
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sys/unix"
)

//go:generate go run gen.go

// Arch is a syscall ABI, by the AUDIT_ARCH value that the kernel reports in
// struct seccomp_data: Arch(notif.Data.Arch) is the one of a notification.
type Arch uint32

// The architectures that have tables. Native is the running one.
const (
	AMD64 Arch = unix.AUDIT_ARCH_X86_64
	ARM64 Arch = unix.AUDIT_ARCH_AARCH64
)

// Arches returns the architectures that have tables.
func Arches() []Arch { return []Arch{AMD64, ARM64} }

// String returns the architecture's name in Go's spelling.
func (a Arch) String() string {
	switch a {
	case AMD64:
		return "amd64"
	case ARM64:
		return "arm64"
	}
	return fmt.Sprintf("architecture %#x", uint32(a))
}

// Number returns the number of a syscall, by the name that the kernel and strace
// give it. The error is an *UnknownSyscallError.
func (a Arch) Number(name string) (int, error) {
	if nr, ok := a.numbers()[name]; ok {
		return nr, nil
	}
	return 0, a.unknown(name, nil)
}

// Name returns the name of a syscall, or syscall_N where the table has none.
func (a Arch) Name(nr int) string {
	if names := a.names(); nr >= 0 && nr < len(names) && names[nr] != "" {
		return names[nr]
	}
	return fmt.Sprintf("syscall_%d", nr)
}

// Syscalls iterates over the known syscalls in the order of their numbers.
func (a Arch) Syscalls() iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for nr, name := range a.names() {
			if name != "" && !yield(nr, name) {
				return
			}
		}
	}
}

// names returns the table, nil for an architecture without one.
func (a Arch) names() []string {
	switch a {
	case AMD64:
		return amd64Names
	case ARM64:
		return arm64Names
	}
	return nil
}

// numbers returns the table turned around.
func (a Arch) numbers() map[string]int {
	switch a {
	case AMD64:
		return amd64Numbers()
	case ARM64:
		return arm64Numbers()
	}
	return nil
}

var (
	amd64Numbers = sync.OnceValue(AMD64.byName)
	arm64Numbers = sync.OnceValue(ARM64.byName)
)

func (a Arch) byName() map[string]int {
	numbers := make(map[string]int, len(a.names()))
	for nr, name := range a.Syscalls() {
		numbers[name] = nr
	}
	return numbers
}
