package netcall

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// entry is a control message whose length may lie, and the gap behind it.
func entry(length uint64, level, kind int32, data string) []byte {
	b := binary.NativeEndian.AppendUint64(nil, length)
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	b = append(b, data...)
	return append(b, make([]byte, -len(b)&7)...)
}

func TestSplitControl(t *testing.T) {
	join := func(entries ...[]byte) (all []byte) {
		for _, e := range entries {
			all = append(all, e...)
		}
		return all
	}
	ttl, tos := entry(20, unix.SOL_IP, unix.IP_TTL, "\x07\x00\x00\x00"), entry(17, unix.SOL_IP, unix.IP_TOS, "\x08")
	for name, test := range map[string]struct {
		raw  []byte
		want []string // the data of each
		err  error
	}{
		"nothing":              {nil, nil, nil},
		"too short for one":    {make([]byte, 15), nil, nil},
		"one":                  {ttl, []string{"\x07\x00\x00\x00"}, nil},
		"one, without its gap": {ttl[:20], []string{"\x07\x00\x00\x00"}, nil},
		"two":                  {join(ttl, tos), []string{"\x07\x00\x00\x00", "\x08"}, nil},
		"and a rest":           {join(tos, make([]byte, 8)), []string{"\x08"}, nil},
		"no data":              {entry(16, 1, 1, ""), []string{""}, nil},
		"zeros":                {make([]byte, 16), nil, unix.EINVAL},
		"shorter than its own": {entry(15, 1, 1, ""), nil, unix.EINVAL},
		"longer than the rest": {entry(25, 1, 1, "12345678"), nil, unix.EINVAL},
		"longest":              {entry(1<<64-1, 1, 1, ""), nil, unix.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			messages, err := splitControl(test.raw)
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			var got []string
			for _, m := range messages {
				got = append(got, string(m.data()))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is taken apart is within what was given, in order and without overlap.
func FuzzSplitControl(f *testing.F) {
	f.Add(entry(20, unix.SOL_IP, unix.IP_TTL, "\x07\x00\x00\x00"))
	f.Add(append(entry(17, unix.SOL_SOCKET, unix.SCM_RIGHTS, "\x08"), 1, 2, 3))
	f.Fuzz(func(t *testing.T, raw []byte) {
		messages, err := splitControl(raw)
		if err != nil {
			return
		}
		total := 0
		for _, m := range messages {
			m.kind()
			total += len(m)
		}
		if total > len(raw) {
			t.Errorf("%d bytes of %d", total, len(raw))
		}
	})
}
