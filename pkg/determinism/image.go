package determinism

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// The entries of the auxiliary vector that matter here, see getauxval(3).
const (
	auxRandom = 25 // AT_RANDOM: the address of 16 bytes
	auxVDSO   = 33 // AT_SYSINFO_EHDR: the address of the vDSO
)

// readAuxv reads the auxiliary vector that the kernel gave to a task's image.
func readAuxv(n *notify.Notification) (map[uint64]uint64, error) {
	data, err := os.ReadFile(procFile(n.Task(), "auxv"))
	if !n.Valid() {
		return nil, notify.ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("read the auxiliary vector: %w", err)
	}
	return parseAuxv(data), nil
}

func parseAuxv(data []byte) map[uint64]uint64 {
	vector := make(map[uint64]uint64)
	for ; len(data) >= 16; data = data[16:] {
		vector[binary.NativeEndian.Uint64(data)] = binary.NativeEndian.Uint64(data[8:])
	}
	return vector
}

// patch puts code in the place of functions of the vDSO, where it is not there yet. The pages are private to the
// memory that they are changed in; a forked child inherits them, and execve makes new ones.
func patch(n *notify.Notification, vector map[uint64]uint64, code map[string][]byte) error {
	base := vector[auxVDSO]
	if base == 0 {
		return nil // a kernel without one
	}
	offsets, err := vdsoFunctions()
	if err != nil {
		return err
	}
	memory, err := unix.Open(procFile(n.Task(), "mem"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if !n.Valid() { // the file is that of the memory at this moment
		if err == nil {
			unix.Close(memory)
		}
		return notify.ErrGone
	}
	if err != nil {
		return fmt.Errorf("open the memory of task %d: %w", n.Task(), err)
	}
	defer unix.Close(memory)
	refused := exchange(memory, base, offsets, code)
	if !errors.Is(refused, unix.EIO) {
		return refused
	}
	// The pages cannot be written by the task itself; this way is the one of debuggers (FOLL_FORCE). Since Linux 6.12 a
	// kernel may keep it to those that trace the task, or refuse it to all (proc_mem.force_override).
	if err := asTracer(n.Task(), func() error { return exchange(memory, base, offsets, code) }); err != nil {
		return errors.Join(refused, err)
	}
	return nil
}

func exchange(memory int, base uint64, offsets map[string]uint64, code map[string][]byte) error {
	for name, instructions := range code {
		offset, ok := offsets[name]
		if !ok {
			continue
		}
		now := make([]byte, len(instructions))
		if _, err := unix.Pread(memory, now, int64(base+offset)); err != nil {
			return fmt.Errorf("read %s of the vDSO: %w", name, err)
		}
		if bytes.Equal(now, instructions) {
			continue
		}
		if _, err := unix.Pwrite(memory, instructions, int64(base+offset)); err != nil {
			return fmt.Errorf("change %s of the vDSO: %w", name, err)
		}
	}
	return nil
}
