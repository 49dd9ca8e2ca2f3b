package notify_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWrite(t *testing.T) {
	before := content(3)
	end := len(before)
	for _, test := range []struct {
		name           string
		offset, length int
		refused        bool
		written        int // what is written all the same
	}{
		{"within a page", 10, 20, false, 20},
		{"across a boundary", pageSize - 5, 10, false, 10},
		{"two pages", 0, 2 * pageSize, false, 2 * pageSize},
		{"nothing", 0, 0, false, 0},
		{"nothing to what is unmapped", end, 0, false, 0},
		{"write-protected", 2 * pageSize, 1, true, 0},
		{"into what is write-protected", 2*pageSize - 5, 10, true, 5},
		{"unmapped", end, 1, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, n, address := showing(t, before, 1)
			data := bytes.Repeat([]byte("written!"), test.length/8+1)[:test.length]
			err := n.Write(data, address+uint64(test.offset))
			if refused := errors.Is(err, unix.EFAULT); refused != test.refused || err != nil && !refused {
				t.Errorf("Write: %v; want EFAULT: %v", err, test.refused)
			}
			if err := n.Return(0); err != nil {
				t.Fatal(err)
			}
			want := bytes.Clone(before)
			copy(want[min(test.offset, end):], data[:test.written])
			if got := []byte(c.rest()); !bytes.Equal(want, got) {
				t.Errorf("the child does not hold what it should: %d bytes, first difference at %d", len(got), difference(want, got))
			}
		})
	}
}

func TestWriteIsReadBack(t *testing.T) {
	_, n, address := showing(t, content(2), 0)
	want := []byte("from the host")
	got := make([]byte, len(want))
	at := address + uint64(pageSize) - 4
	if err := n.Write(want, at); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Read(got, at); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func difference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
