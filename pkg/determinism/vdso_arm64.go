package determinism

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	vdsoPrefix = "__kernel_"
	timeCall   = -1 // there is none
)

// noSuchCall is a function that returns -ENOSYS: bti c; movn x0, ENOSYS-1; ret.
var noSuchCall = instructions(0xd503245f, 0x92800000|(uint32(unix.ENOSYS)-1)<<5, 0xd65f03c0)

// systemCall is a function that makes a system call with the arguments that it was called with: bti c; movz x8, nr;
// svc 0; ret.
func systemCall(nr int) []byte {
	return instructions(0xd503245f, 0xd2800008|uint32(nr)<<5, 0xd4000001, 0xd65f03c0)
}

func instructions(words ...uint32) []byte {
	var code []byte
	for _, word := range words {
		code = binary.LittleEndian.AppendUint32(code, word)
	}
	return code
}
