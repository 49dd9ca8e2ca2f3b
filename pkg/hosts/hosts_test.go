package hosts

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// A book has the addresses of names; other names are not found.
type book map[string][]string

func (b book) LookupNetIP(_ context.Context, _, host string) (found []netip.Addr, err error) {
	list, ok := b[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	for _, text := range list {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, &net.DNSError{Err: text, Name: host, IsTimeout: true}
		}
		found = append(found, address)
	}
	return found, nil
}

func rules(names ...string) []policy.NetRule {
	list := []policy.NetRule{{Prefix: netip.MustParsePrefix("192.0.2.1/32")}, {}}
	for _, name := range names {
		list = append(list, policy.NetRule{Host: name})
	}
	return list
}

func TestResolve(t *testing.T) {
	with := book{"a.example": {"192.0.2.9", "::ffff:192.0.2.1", "192.0.2.1", "2001:db8::1"}, "b.example": {"fe80::1%eth0"}}
	found, err := resolve(rules("a.example", "b.example", "a.example"), with)
	if err != nil {
		t.Fatal(err)
	}
	ip := netip.MustParseAddr
	want := Addresses{"a.example": {ip("192.0.2.1"), ip("192.0.2.9"), ip("2001:db8::1")}, "b.example": {ip("fe80::1")}}
	if diff := cmp.Diff(want, found, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	const text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"192.0.2.1\ta.example\n192.0.2.9\ta.example\n2001:db8::1\ta.example\nfe80::1\tb.example\n"
	if diff := cmp.Diff(text, found.Text()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNothingToResolve(t *testing.T) {
	if found, err := resolve(rules(), book{}); found != nil || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

func TestNamesThatCannotBeResolved(t *testing.T) {
	for name, problem := range map[string]string{
		"nobody.example": "has no address",
		"empty.example":  "has no address",
		"slow.example":   "cannot be resolved: i/o timeout",
	} {
		_, err := resolve(rules("a.example", name), book{"a.example": {"192.0.2.1"}, "empty.example": {}, "slow.example": {"i/o timeout"}})
		var fault *policy.Error
		if !errors.As(err, &fault) {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff([]any{"net_allow", name, problem}, []any{fault.Field, fault.Value, fault.Problem}); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// The name of this machine is not there twice.
func TestLocalhostIsPinnedToo(t *testing.T) {
	found := Addresses{"localhost": {netip.MustParseAddr("127.0.0.1")}}
	if diff := cmp.Diff("127.0.0.1\tlocalhost\n", found.Text()); diff != "" {
		t.Error(diff)
	}
}

func TestFile(t *testing.T) {
	for range 2 {
		fd, err := File("some text").open()
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fd), "hosts")
		defer file.Close()
		text, err := io.ReadAll(file)
		if err != nil || string(text) != "some text" {
			t.Errorf("%q, %v", text, err)
		}
		if _, err := file.Write([]byte("x")); !errors.Is(err, unix.EBADF) {
			t.Errorf("writing: %v", err)
		}
	}
}
