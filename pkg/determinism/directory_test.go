package determinism

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestOrder(t *testing.T) {
	for name, test := range map[string]struct {
		a, b string
		want int
	}{
		"by bytes":                   {"B", "a", -1},
		"longer":                     {"a", "aa", -1},
		"beyond ASCII":               {"\xff", "a", 1},
		"the directory comes first":  {".", "!", -1},
		"and the one above it":       {"..", "!", -1},
		"in this order":              {"..", ".", 1},
		"a name that begins with it": {"...", "!", 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := compare(entry{name: test.a}, entry{name: test.b}); got != test.want {
				t.Errorf("%q and %q: %d, want %d", test.a, test.b, got, test.want)
			}
		})
	}
}

// What is made for a task can be read as the kernel's own is.
func FuzzEntries(f *testing.F) {
	f.Add("name", uint64(1), byte(unix.DT_REG), "other")
	f.Add(strings.Repeat("x", 255), uint64(1<<63), byte(unix.DT_DIR), ".")
	f.Fuzz(func(t *testing.T, first string, inode uint64, kind byte, second string) {
		var want listing
		var data []byte
		for i, name := range []string{first, second} {
			if name == "" || len(name) > unix.NAME_MAX || strings.ContainsAny(name, "/\x00") {
				return
			}
			want = append(want, entry{inode, kind, name})
			data = append(data, encode(unix.SYS_GETDENTS64, want[i], int64(i+1))...)
		}
		if diff := cmp.Diff(want, decode(data), cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("(-encoded +decoded)\n%s", diff)
		}
	})
}

// Whatever the kernel gives, reading it ends.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(encode(unix.SYS_GETDENTS64, entry{1, 2, "name"}, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		if entries := decode(data); len(entries) > len(data)/offsetName {
			t.Errorf("%d entries in %d bytes", len(entries), len(data))
		}
	})
}
