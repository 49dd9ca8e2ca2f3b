package netcall

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func unixAddress(family uint16, path string) []byte {
	return append(binary.NativeEndian.AppendUint16(nil, family), path...)
}

// The kernel reads a path up to a NUL byte, or to the end of the address.
func TestParsePath(t *testing.T) {
	longest := strings.Repeat("x", 108)
	for name, test := range map[string]struct {
		raw  []byte
		path string
		err  error
	}{
		"a path":                       {unixAddress(unix.AF_UNIX, "/s\x00"), "/s", nil},
		"without a NUL":                {unixAddress(unix.AF_UNIX, "/s"), "/s", nil},
		"with more behind the NUL":     {unixAddress(unix.AF_UNIX, "/s\x00more"), "/s", nil},
		"relative":                     {unixAddress(unix.AF_UNIX, "s\x00"), "s", nil},
		"as long as it may be":         {unixAddress(unix.AF_UNIX, longest), longest, nil},
		"one byte longer":              {unixAddress(unix.AF_UNIX, longest+"x"), "", unix.EINVAL},
		"an abstract name":             {unixAddress(unix.AF_UNIX, "\x00name"), "", errDenied},
		"the abstract name of nothing": {unixAddress(unix.AF_UNIX, "\x00"), "", errDenied},
		"the family alone":             {unixAddress(unix.AF_UNIX, ""), "", unix.EINVAL},
		"another family":               {unixAddress(unix.AF_INET, "/s"), "", unix.EINVAL},
		"no family":                    {unixAddress(unix.AF_UNSPEC, "/s"), "", unix.EINVAL},
	} {
		c := &call{Performer: &Performer{unix: &Unix{}}}
		if path, err := c.parsePath(test.raw); path != test.path || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v", name, path, err)
		}
	}
	closed := &call{Performer: &Performer{}}
	if _, err := closed.parsePath(unixAddress(unix.AF_UNIX, "/s")); !errors.Is(err, errDenied) {
		t.Errorf("no Unix socket is granted: %v", err)
	}
}
