package netcall

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// raw is a socket address: the family, a port for IPv4 and IPv6, and the address.
func raw(family uint16, port uint16, host string, size int) []byte {
	b := binary.NativeEndian.AppendUint16(nil, family)
	if host != "" {
		b = binary.BigEndian.AppendUint16(b, port)
		ip := netip.MustParseAddr(host)
		if ip.Is6() {
			b = append(b, 0, 0, 0, 0)
		}
		b = append(b, ip.AsSlice()...)
	}
	return append(b, make([]byte, max(0, size-len(b)))...)[:size]
}

func TestParseAddress(t *testing.T) {
	for name, test := range map[string]struct {
		raw   []byte
		peer  string // what is judged
		given []byte // what the kernel gets
		err   error
	}{
		"IPv4":                   {raw(2, 80, "192.0.2.1", 16), "192.0.2.1:80", raw(2, 80, "192.0.2.1", 16), nil},
		"IPv4 and more":          {raw(2, 80, "192.0.2.1", 128), "192.0.2.1:80", raw(2, 80, "192.0.2.1", 16), nil},
		"IPv4, short":            {raw(2, 80, "192.0.2.1", 15), "", nil, unix.EINVAL},
		"unspecified IPv4":       {raw(2, 80, "0.0.0.0", 16), "127.0.0.1:80", raw(2, 80, "127.0.0.1", 16), nil},
		"IPv6":                   {raw(10, 80, "2001:db8::1", 28), "[2001:db8::1]:80", raw(10, 80, "2001:db8::1", 28), nil},
		"IPv6 without a scope":   {raw(10, 80, "2001:db8::1", 24), "[2001:db8::1]:80", raw(10, 80, "2001:db8::1", 24), nil},
		"IPv6, short":            {raw(10, 80, "2001:db8::1", 23), "", nil, unix.EINVAL},
		"unspecified IPv6":       {raw(10, 80, "::", 28), "[::1]:80", raw(10, 80, "::1", 28), nil},
		"mapped IPv4":            {raw(10, 80, "::ffff:192.0.2.1", 28), "192.0.2.1:80", raw(10, 80, "::ffff:192.0.2.1", 28), nil},
		"mapped and unspecified": {raw(10, 80, "::ffff:0.0.0.0", 28), "127.0.0.1:80", raw(10, 80, "::ffff:127.0.0.1", 28), nil},
		"no family":              {raw(0, 0, "", 16), "", raw(0, 0, "", 16), nil},
		"Unix":                   {raw(1, 0, "", 110), "", raw(1, 0, "", 110), nil},
		"netlink":                {raw(16, 0, "", 12), "", nil, unix.EAFNOSUPPORT},
		"nothing":                {nil, "", nil, unix.EINVAL},
		"one byte":               {[]byte{2}, "", nil, unix.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := parseAddress(slices.Clone(test.raw))
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			peer := ""
			if a.peer.IsValid() {
				peer = a.peer.String()
			}
			if diff := cmp.Diff(test.peer, peer); diff != "" {
				t.Error("judged", diff)
			}
			if diff := cmp.Diff(test.given, a.raw); diff != "" {
				t.Error("given", diff)
			}
		})
	}
}

// Whatever a task writes, what is judged is what the kernel gets.
func FuzzParseAddress(f *testing.F) {
	f.Add(raw(2, 80, "0.0.0.0", 16))
	f.Add(raw(10, 80, "::ffff:0.0.0.0", 28))
	f.Add(raw(10, 80, "fe80::1", 24))
	f.Add(raw(0, 0, "", 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAddress(slices.Clone(data))
		if err != nil {
			return
		}
		again, err := parseAddress(slices.Clone(a.raw))
		if err != nil || again.peer != a.peer || again.family != a.family || !slices.Equal(again.raw, a.raw) {
			t.Errorf("%x is judged as %v, and what the kernel gets, %x, as %v: %v", data, a.peer, a.raw, again.peer, err)
		}
		if a.peer.IsValid() && (a.peer.Addr().IsUnspecified() || a.peer.Addr().Is4In6()) {
			t.Errorf("%x is judged as %v", data, a.peer)
		}
	})
}
