package core

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The layout of one worker's slot, in native byte order; python/sandlock/_frame.py has the same. The notification comes
// first, then the answer, whose zero value is Continue; on a page of its own follows what is read from or written to the
// memory of the child.
const (
	offsetID          = 0
	offsetTask        = 8
	offsetFlags       = 12
	offsetSyscall     = 16
	offsetArch        = 20
	offsetInstruction = 24
	offsetArgs        = 32
	offsetLast        = 80 // 1: no other worker waits
	offsetAnswer      = 88 // kind, operand (32 bits each), value (64 bits): see answer
	offsetData        = 4096

	dataSize = 64 << 10
	slotSize = offsetData + dataSize
)

// A frame is memory shared with Python: one slot for each worker.
type frame struct {
	fd     int
	memory []byte
}

func newFrame(slots int) (frame, error) {
	fd, err := unix.MemfdCreate("sandlock-frame", unix.MFD_CLOEXEC)
	if err != nil {
		return frame{}, fmt.Errorf("make the frame: %w", err)
	}
	if err := unix.Ftruncate(fd, int64(slots*slotSize)); err != nil {
		return frame{}, errors.Join(fmt.Errorf("size the frame: %w", err), unix.Close(fd))
	}
	memory, err := unix.Mmap(fd, 0, slots*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return frame{}, errors.Join(fmt.Errorf("map the frame: %w", err), unix.Close(fd))
	}
	return frame{fd: fd, memory: memory}, nil
}

func (f frame) close() error {
	if f.memory == nil {
		return nil
	}
	return errors.Join(unix.Munmap(f.memory), unix.Close(f.fd))
}

// slot is the memory of one worker.
func (f frame) slot(i int) []byte { return f.memory[i*slotSize : (i+1)*slotSize : (i+1)*slotSize] }

var native = binary.NativeEndian
