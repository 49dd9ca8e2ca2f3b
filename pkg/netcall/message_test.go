package netcall

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// The kernel takes no more than 2 GiB less a page at a time.
func TestPartsOfAMessage(t *testing.T) {
	m := &message{}
	m.add(1, 10)
	m.add(2, 1<<40)
	m.add(3, 5)
	want := []part{{1, 10}, {2, maxTotal - 10}, {3, 0}}
	if diff := cmp.Diff(want, m.parts, cmp.AllowUnexported(part{})); diff != "" || m.total != maxTotal {
		t.Errorf("total %d, parts (-want +got)\n%s", m.total, diff)
	}
}

// Whatever lengths a task writes, what is taken of it is bounded, and each part is a beginning of what was written.
func FuzzParts(f *testing.F) {
	words := func(all ...uint64) (list []byte) {
		for _, word := range all {
			list = binary.NativeEndian.AppendUint64(list, word)
		}
		return list
	}
	f.Add(words(1, 10, 2, 0))
	f.Add(words(1, maxTotal, 2, 5))
	f.Add(words(1, 1<<63, 2, 5))
	f.Add(words(1<<64-1, 1<<63-1, 0, 1<<32))
	f.Fuzz(func(t *testing.T, list []byte) {
		list = list[:len(list)/iovecSize*iovecSize]
		m := &message{}
		if err := m.addAll(list); err != nil {
			if !errors.Is(err, unix.EINVAL) {
				t.Error(err)
			}
			return
		}
		total := 0
		for i, p := range m.parts {
			written := list[i*iovecSize:]
			if p.address != binary.NativeEndian.Uint64(written) || p.length < 0 || uint64(p.length) > binary.NativeEndian.Uint64(written[8:]) {
				t.Errorf("part %d of %x: %+v", i, list, p)
			}
			total += p.length
		}
		if total != m.total || total > maxTotal || len(m.parts) != len(list)/iovecSize {
			t.Errorf("%x: %d parts of %d bytes, said to be %d", list, len(m.parts), total, m.total)
		}
	})
}
