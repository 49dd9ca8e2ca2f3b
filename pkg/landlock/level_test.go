package landlock

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

func TestHandledByABI(t *testing.T) {
	const (
		base     = 1<<13 - 1
		refer    = base | unix.LANDLOCK_ACCESS_FS_REFER
		truncate = refer | unix.LANDLOCK_ACCESS_FS_TRUNCATE
		ioctl    = truncate | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
		sockets  = ioctl | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
		tcp      = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
		udp      = unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP
		scopes   = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	)
	for _, test := range []struct {
		abi             int
		fs, net, scoped uint64
	}{
		{1, base, 0, 0},
		{2, refer, 0, 0},
		{3, truncate, 0, 0},
		{4, truncate, tcp, 0},
		{5, ioctl, tcp, 0},
		{6, ioctl, tcp, scopes},
		{7, ioctl, tcp, scopes},
		{8, ioctl, tcp, scopes},
		{9, sockets, tcp, scopes},
		{10, sockets, tcp | udp, scopes},
		{1000, sockets, tcp | udp, scopes},
	} {
		states, err := resolve(&policy.Policy{AllowDegraded: all()}, test.abi)
		if err != nil {
			t.Fatalf("ABI %d: %v", test.abi, err)
		}
		want := unix.LandlockRulesetAttr{Handled_access_fs: test.fs, Handled_access_net: test.net, Scoped: test.scoped}
		if diff := cmp.Diff(want, handled(test.abi, states)); diff != "" {
			t.Errorf("ABI %d handles (-want +got):\n%s", test.abi, diff)
		}
	}
}

func TestDisabledIsNotHandled(t *testing.T) {
	newestABI := levels[len(levels)-1].abi
	states, err := resolve(&policy.Policy{}, newestABI)
	if err != nil {
		t.Fatal(err)
	}
	full := handled(newestABI, states)
	for _, p := range protections {
		if p.name == policy.FSRefer {
			continue // cannot be disabled
		}
		states, err := resolve(&policy.Policy{Disable: []policy.Protection{p.name}}, newestABI)
		if err != nil {
			t.Fatal(err)
		}
		want := full
		want.Handled_access_fs &^= p.fs
		want.Handled_access_net &^= p.net
		want.Scoped &^= p.scoped
		if diff := cmp.Diff(want, handled(newestABI, states)); diff != "" {
			t.Errorf("%v disabled (-want +got):\n%s", p.name, diff)
		}
	}
}

func TestLevelsAreInOrder(t *testing.T) {
	for i, l := range levels {
		if l.abi != i+1 {
			t.Errorf("levels[%d] is ABI %d", i, l.abi)
		}
	}
}

// The kernel accepts the handled rights of each ABI up to its own.
func TestKernelTakesEveryLevel(t *testing.T) {
	for abi := 1; abi <= newest(t); abi++ {
		ruleset, err := Build(&policy.Policy{FSReadable: []string{"/"}, FSWritable: []string{"/", "/dev/null"}, AllowDegraded: all()}, abi)
		if err != nil {
			t.Errorf("ABI %d: %v", abi, err)
			continue
		}
		if err := ruleset.Close(); err != nil {
			t.Errorf("ABI %d: %v", abi, err)
		}
	}
}
