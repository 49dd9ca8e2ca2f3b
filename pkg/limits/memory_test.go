package limits

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadMapping(t *testing.T) {
	id := inode{unix.Mkdev(0, 1), 1027}
	for line, want := range map[string]uint64{
		"7f0000000000-7f0000003000 rw-s 00000000 00:01 1027 /dev/zero (deleted)":                    3 << 12,
		"7f0000000000-7f0000001000 rw-s 00000000 00:01 1027 /memfd:a name (deleted)":                1 << 12,
		"7f0000000000-7f0000001000 r--s 00000000 00:01 1027                /SYSV00000000 (deleted)": 1 << 12,
		"7f0000000000-7f0000001000 rw-p 00000000 00:01 1027 /memfd:private (deleted)":               0,
		"7f0000000000-7f0000001000 rw-s 00000000 fe:00 1027 /home/file (deleted)":                   0,
		"7f0000000000-7f0000001000 rw-s 00000000 fe:00 1027 /dev/zero":                              0,
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0":                                           0,
		"7f0000000000-7f0000001000 r-xp 00000000 00:00 0 [vdso]":                                    0,
		"": 0,
	} {
		got, size, shared, err := readMapping(line)
		if err != nil || size != want || shared != (want != 0) || shared && got != id {
			t.Errorf("%q: %v, %d, %v, %v; want %d", line, got, size, shared, err, want)
		}
	}
}

// FuzzReadMapping states that no line of a file whose names a child chooses does any harm, nor hides the others.
func FuzzReadMapping(f *testing.F) {
	const other = "7f0000000000-7f0000003000 rw-s 00000000 00:01 1027 /dev/zero (deleted)\n"
	f.Add("7f0000000000-7f0000001000 rw-s 00000000 00:01 1027 /dev/zero (deleted)", uint16(1))
	f.Add("x-y rws 0 z 1 /memfd: (deleted)", uint16(1))
	f.Add("7f0000000000-7f0000001000 r--s 00000000 fe:00 1 /a", uint16(40000))
	f.Fuzz(func(t *testing.T, line string, times uint16) {
		if _, size, shared, err := readMapping(line); size != 0 && err == nil && !shared {
			t.Errorf("%q: %d bytes that are not shared", line, size)
		}
		// The kernel writes newlines as \012, see seq_path.
		path := strings.Repeat(strings.ReplaceAll(line, "\n", `\012`), int(times)%(100_000/(len(line)+1)+1))
		file := "7f0000000000-7f0000001000 r--s 00000000 fe:00 1 /home/" + path + "\n" + other
		sizes, err := readMappings(strings.NewReader(file))
		if want := uint64(3 << 12); err != nil || len(sizes) != 1 || sizes[inode{unix.Mkdev(0, 1), 1027}] != want {
			t.Errorf("with a path of %d bytes: %v, %v", len(path), sizes, err)
		}
	})
}
