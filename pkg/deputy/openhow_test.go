package deputy

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// how is a struct open_how, and what may follow it.
func how(flags, mode, resolve uint64, rest ...byte) (raw []byte) {
	for _, field := range []uint64{flags, mode, resolve} {
		raw = binary.NativeEndian.AppendUint64(raw, field)
	}
	return append(raw, rest...)
}

// FuzzOpenHow gives openat2(2) whatever a task may have in its memory: the kernel's errno and flags must come of it.
func FuzzOpenHow(f *testing.F) {
	f.Add(how(unix.O_RDWR, 0, 0), uint64(24))
	f.Add(how(unix.O_WRONLY|unix.O_TRUNC|unix.O_APPEND, 0, unix.RESOLVE_BENEATH, 0, 0), uint64(26))
	f.Add(how(unix.O_RDONLY, 0o600, 0), uint64(24))
	f.Add(how(unix.O_RDONLY, 0, 0, 0, 1), uint64(26))
	f.Add(how(1<<40, 0, 1<<40), uint64(23))
	f.Add(how(unix.O_TMPFILE, 0o7777, 0x20), uint64(24)) // RESOLVE_CACHED
	f.Add(how(0, 0, 0), uint64(1<<63))
	folder := f.TempDir()
	plant(f, folder)
	d := deputyFor(f, folder)
	base, err := openat2(unix.AT_FDCWD, folder, unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(base) })
	name, err := unix.BytePtrFromString("f")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte, size uint64) {
		if len(raw) < openHowSize || len(raw) > 4096 {
			return
		}
		size = min(size, uint64(len(raw)))
		kernel := inside(t, d, func() Result {
			fd, _, errno := unix.Syscall6(unix.SYS_OPENAT2, uintptr(base), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&raw[0])), uintptr(size), 0, 0)
			if errno != 0 {
				return failed(errno)
			}
			return Result{FD: int(fd)}
		})
		performed := inside(t, d, func() Result {
			r := request{places: []place{{base, "f"}}, taken: make(map[ownFile]int), input: raw[:size], args: [6]uint64{3: size}}
			return r.doOpenat2()
		})
		var flags [2]int
		for i, result := range []Result{kernel, performed} {
			if result.FD >= 0 {
				flags[i], err = unix.FcntlInt(uintptr(result.FD), unix.F_GETFL, 0)
				if err != nil {
					t.Error(err)
				}
				flags[i] &^= unix.O_NOFOLLOW // of no effect on an open file, and lost
				unix.Close(result.FD)
			}
		}
		asked := binary.NativeEndian.Uint64(raw)
		if kernel.Errno == 0 && asked&unix.O_PATH != 0 { // see doc.go
			flags = [2]int{}
		}
		if kernel.Errno != performed.Errno || flags[0] != flags[1] {
			t.Errorf("%x of %d bytes: by the kernel %v and %#x, performed %v and %#x", raw, size, kernel.Errno, flags[0], performed.Errno, flags[1])
		}
	})
}
