package netcall

import (
	"testing"

	"github.com/google/go-cmp/cmp"
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
