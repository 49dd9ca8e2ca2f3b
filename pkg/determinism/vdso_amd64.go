package determinism

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const vdsoPrefix = "__vdso_"

// noSuchCall is a function that returns -ENOSYS: mov rax, imm32; ret.
var noSuchCall = append(binary.LittleEndian.AppendUint32([]byte{0x48, 0xc7, 0xc0}, ^uint32(unix.ENOSYS)+1), 0xc3)
