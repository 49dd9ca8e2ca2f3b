package seccomp

import (
	"fmt"
	"maps"
	"slices"

	"sandlock/pkg/policy"
)

// UnknownSyscallError reports a name that is not a syscall of the architecture.
type UnknownSyscallError struct {
	Name    string
	Arch    Arch
	Other   Arch   // an architecture that has a syscall of this name, or 0
	Nearest string // the known name that is most like it, or empty
}

// longestName is beyond every name that somebody misspelt.
const longestName = 64

func (e *UnknownSyscallError) Error() string {
	if e.Other != 0 {
		return fmt.Sprintf("syscall %q does not exist on %v, only on %v", e.Name, e.Arch, e.Other)
	}
	if e.Nearest != "" {
		return fmt.Sprintf("unknown syscall %q; did you mean %q?", e.Name, e.Nearest)
	}
	name := fmt.Sprintf("%q", e.Name)
	if len(e.Name) > longestName {
		name = fmt.Sprintf("%q (%d bytes)", e.Name[:longestName]+"...", len(e.Name))
	}
	return fmt.Sprintf("unknown syscall %s; syscalls(2) lists them", name)
}

// unknown makes the error for a name that is not in the table; more are names
// that would have been accepted as well.
func (a Arch) unknown(name string, more []string) error {
	err := &UnknownSyscallError{Name: name, Arch: a}
	for _, other := range Arches() {
		if _, ok := other.numbers()[name]; ok {
			err.Other = other
			return err
		}
	}
	err.Nearest, _ = policy.Nearest(name, slices.AppendSeq(more, maps.Keys(a.numbers())))
	return err
}
