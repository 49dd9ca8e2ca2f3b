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

// systemCall is a function that makes a system call with the arguments that it was called with, again when a signal has
// interrupted it: what the vDSO does is never interrupted, so nobody expects it.
//
//	bti c; mov x9, x0
//	again: mov x0, x9; movz x8, nr; svc 0; cmn x0, EINTR; b.eq again; ret
func systemCall(nr int) []byte {
	return instructions(0xd503245f, 0xaa0003e9,
		0xaa0903e0, 0xd2800008|uint32(nr)<<5, 0xd4000001, 0xb100001f|uint32(unix.EINTR)<<10, 0x54ffff80, 0xd65f03c0)
}

func instructions(words ...uint32) []byte {
	var code []byte
	for _, word := range words {
		code = binary.LittleEndian.AppendUint32(code, word)
	}
	return code
}
