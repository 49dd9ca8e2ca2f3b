package landlock

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

func TestMissingProtection(t *testing.T) {
	for abi, want := range map[int][]policy.Protection{
		1:    {policy.FSRefer, policy.FSTruncate, policy.NetTCP, policy.FSIoctlDev, policy.SignalScope, policy.AbstractUnixSocketScope},
		2:    {policy.FSTruncate, policy.NetTCP, policy.FSIoctlDev, policy.SignalScope, policy.AbstractUnixSocketScope},
		3:    {policy.NetTCP, policy.FSIoctlDev, policy.SignalScope, policy.AbstractUnixSocketScope},
		4:    {policy.FSIoctlDev, policy.SignalScope, policy.AbstractUnixSocketScope},
		5:    {policy.SignalScope, policy.AbstractUnixSocketScope},
		6:    nil,
		1000: nil,
	} {
		_, err := resolve(&policy.Policy{}, abi)
		var missing *MissingProtectionError
		if !errors.As(err, &missing) {
			missing = &MissingProtectionError{}
		}
		if diff := cmp.Diff(want, missing.Missing); diff != "" {
			t.Errorf("ABI %d lacks (-want +got):\n%s", abi, diff)
		}
		if want == nil && err != nil {
			t.Errorf("ABI %d: %v", abi, err)
		}
		// What is named in the error is what has to be opted out of, no less and no more.
		for _, optOut := range []policy.Policy{{AllowDegraded: want}, {Disable: withoutRefer(want), AllowDegraded: []policy.Protection{policy.FSRefer}}} {
			if _, err := resolve(&optOut, abi); err != nil {
				t.Errorf("ABI %d with %+v: %v", abi, optOut, err)
			}
		}
		for i := range want {
			almost := append(append([]policy.Protection{}, want[:i]...), want[i+1:]...)
			_, err := resolve(&policy.Policy{AllowDegraded: almost}, abi)
			if !errors.As(err, &missing) || !cmp.Equal(missing.Missing, want[i:i+1]) {
				t.Errorf("ABI %d without opting out of %v: %v", abi, want[i], err)
			}
		}
	}
}

func withoutRefer(list []policy.Protection) []policy.Protection {
	var rest []policy.Protection
	for _, p := range list {
		if p != policy.FSRefer {
			rest = append(rest, p)
		}
	}
	return rest
}

func TestMissingProtectionMessage(t *testing.T) {
	_, err := Build(&policy.Policy{AllowDegraded: []policy.Protection{policy.NetTCP, policy.SignalScope}}, 3)
	want := "this kernel has Landlock ABI 3, which is too old: FS_IOCTL_DEV needs ABI 5 (Linux 6.10), without it devices in " +
		"fs_readable take every ioctl; ABSTRACT_UNIX_SOCKET_SCOPE needs ABI 6 (Linux 6.12), without it abstract Unix sockets outside " +
		"the sandbox can be reached; run a newer kernel, or accept it with " +
		"allow_degraded=[Protection.FS_IOCTL_DEV, Protection.ABSTRACT_UNIX_SOCKET_SCOPE]"
	if err == nil {
		t.Fatal("Build succeeded")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestReferCannotBeDisabled(t *testing.T) {
	for _, abi := range []int{1, 6} {
		_, err := resolve(&policy.Policy{Disable: []policy.Protection{policy.FSRefer}, AllowDegraded: all()}, abi)
		var fault *policy.Error
		if !errors.As(err, &fault) || fault.Field != "disable" {
			t.Errorf("ABI %d: error %v, want a *policy.Error about disable", abi, err)
		}
	}
}

func TestRulesetTellsItsProtections(t *testing.T) {
	needABI(t, 5)
	ruleset, err := Build(&policy.Policy{AllowDegraded: all(), Disable: []policy.Protection{policy.NetTCP, policy.SignalScope}}, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer ruleset.Close()
	want := map[policy.Protection]state{
		policy.FSRefer: enforced, policy.FSTruncate: enforced, policy.NetTCP: disabled,
		policy.FSIoctlDev: degraded, policy.SignalScope: disabled, policy.AbstractUnixSocketScope: degraded,
	}
	if diff := cmp.Diff(want, ruleset.states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]policy.Protection{policy.FSIoctlDev, policy.AbstractUnixSocketScope}, ruleset.Degraded()); diff != "" {
		t.Errorf("Degraded (-want +got):\n%s", diff)
	}
}

// The highest of them is min_landlock_abi of python/sandlock/kernel.py, which loads nothing of this.
func TestRequires(t *testing.T) {
	want := map[policy.Protection]int{policy.FSRefer: 2, policy.FSTruncate: 3, policy.NetTCP: 4, policy.FSIoctlDev: 5,
		policy.SignalScope: 6, policy.AbstractUnixSocketScope: 6}
	got := map[policy.Protection]int{}
	for _, p := range policy.Protections() {
		got[p] = Requires(p).ABI
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ABIs (-want +got):\n%s", diff)
	}
}

func TestUnavailable(t *testing.T) {
	for errno, want := range map[unix.Errno]string{
		unix.ENOSYS: "this kernel has no Landlock: run Linux 5.13 or newer, built with CONFIG_SECURITY_LANDLOCK=y " +
			"(or, in a container, a seccomp profile that lets the landlock_* calls through)",
		unix.EOPNOTSUPP: "this kernel has Landlock, but it was not enabled at boot: add landlock to the list of the lsm= kernel parameter",
		unix.EPERM: "Landlock is refused here (operation not permitted), probably by the seccomp profile of a container: " +
			"let the landlock_* calls through",
	} {
		var err error = &UnavailableError{Errno: errno}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", errno, diff)
		}
		if !errors.Is(err, errno) {
			t.Errorf("errors.Is(%v, %v) = false", err, errno)
		}
	}
}
