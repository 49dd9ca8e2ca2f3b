package determinism

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	vdsoPrefix = "__vdso_"
	timeCall   = unix.SYS_TIME
)

// noSuchCall is a function that returns -ENOSYS: mov rax, imm32; ret.
var noSuchCall = append(binary.LittleEndian.AppendUint32([]byte{0x48, 0xc7, 0xc0}, ^uint32(unix.ENOSYS)+1), 0xc3)

// systemCall is a function that makes a system call with the arguments that it was called with, again when a signal has
// interrupted it: what the vDSO does is never interrupted, so nobody expects it.
//
//	again: mov eax, nr; syscall; cmp rax, -EINTR; je again; ret
func systemCall(nr int) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{0xb8}, uint32(nr)),
		0x0f, 0x05, 0x48, 0x83, 0xf8, 0xff-byte(unix.EINTR)+1, 0x74, 0xf3, 0xc3)
}
