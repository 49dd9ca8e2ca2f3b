package seccomp_test

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/network"
	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
)

// nonce, and its halves as the launcher puts them above its arguments.
const (
	nonce     = 0xfeedface_0badcafe
	nonceHigh = 0xfeedface << 32
	nonceLow  = 0x0badcafe << 32
)

// specs are the ways to use a Spec, on one architecture.
func specs(t testing.TB, a seccomp.Arch) map[string]seccomp.Spec {
	everySecond := func(s seccomp.Spec) []int {
		var half []int
		for i, nr := range handleable(s) {
			if i%2 == 0 {
				half = append(half, nr)
			}
		}
		return half
	}
	plain := seccomp.Spec{Arch: a}
	denying := seccomp.Spec{Arch: a, LaunchNonce: nonce,
		ExtraDeny: []string{"dup3", "futex", "socket", "clone", "connect", "sysv_ipc", "execveat"}}
	allowing := seccomp.Spec{Arch: a, ExtraAllow: []string{"sysv_ipc", "file_watches", "aio"}}
	audit, all, half, both := plain, plain, plain, denying
	audit.Notify = []int{number(t, a, "openat"), number(t, a, "close_range")}
	all.Notify = handleable(all)
	all.LaunchNonce = nonce
	half.Notify = everySecond(half)
	audit.ChildSignal, denying.ChildSignal, both.ChildSignal = true, true, true
	audit.NoSubreapers, both.NoSubreapers = true, true
	both.ExtraAllow = []string{"sysv_ipc"}
	both.Notify = everySecond(both)
	// One of each kind of access, and all sockets.
	kernel, supervised, some := plain, plain, both
	kernel.Network = network.Calls{Protocols: policy.TCP, Connect: network.Kernel, Send: network.Kernel, Listen: network.Supervised}
	supervised.Network = network.Calls{Protocols: policy.TCP | policy.UDP | policy.ICMP, Connect: network.Supervised,
		Send: network.Supervised, Bind: network.Supervised, Listen: network.Kernel}
	some.Network = network.Calls{Protocols: policy.ICMP, Connect: network.Supervised, Send: network.Supervised}
	return map[string]seccomp.Spec{
		"network by the kernel": kernel, "network by the supervisor": supervised, "ICMP and everything": some,
		"default": plain, "audit": audit, "extra deny": denying, "what may be is allowed": allowing,
		"notify all": all, "notify every second": half, "everything at once": both,
	}
}

// eachSpec runs a test for every spec of both architectures.
func eachSpec(t *testing.T, test func(*testing.T, seccomp.Spec)) {
	for _, a := range seccomp.Arches() {
		for name, s := range specs(t, a) {
			t.Run(fmt.Sprintf("%v/%s", a, name), func(t *testing.T) {
				t.Parallel()
				test(t, s)
			})
		}
	}
}

func TestEveryNumber(t *testing.T) {
	eachSpec(t, func(t *testing.T, s seccomp.Spec) {
		m := newMachine(t, compile(t, s))
		numbers := []uint32{1<<30 - 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}
		for nr := range uint32(1024) {
			numbers = append(numbers, nr, 1<<30|nr, 1<<31|nr, 1<<30|1<<31|nr)
		}
		for _, nr := range numbers {
			for _, arch := range []seccomp.Arch{seccomp.AMD64, seccomp.ARM64,
				unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, 0} {
				c := call{nr: nr, arch: arch}
				if got, want := m.run(t, c), decide(s, c); got != want {
					t.Errorf("%v %#x (%s): %v, want %v", arch, nr, arch.Name(int(nr)), got, want)
				}
			}
		}
	})
}

func TestArguments(t *testing.T) {
	const high, btrfsSnapshot = 0xdeadbeef << 32, 0x50009417
	values := []uint64{
		0, 1, 1 << 32, high, high | 1, 1<<64 - 1,
		unix.CLONE_NEWUSER, unix.CLONE_NEWTIME | unix.CLONE_VM, high | unix.CLONE_NEWNS | unix.CLONE_VM,
		unix.CLONE_NEWCGROUP, unix.CLONE_NEWUTS, unix.CLONE_NEWIPC, unix.CLONE_NEWPID, unix.CLONE_NEWNET,
		unix.TIOCSTI, high | unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCGWINSZ,
		unix.AF_INET, unix.AF_NETLINK, unix.AF_VSOCK, high | unix.AF_UNIX,
		unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, unix.SOCK_DGRAM, unix.SOCK_RAW,
		unix.AF_INET6, unix.AF_UNIX, unix.IPPROTO_IPV6, unix.IPPROTO_MPTCP, high | unix.AF_INET,
		unix.SOCK_SEQPACKET, high | unix.SOCK_SEQPACKET, unix.SOCK_STREAM | 0x10,
		nonceHigh, nonceLow, nonceLow | 7, nonceHigh | unix.AF_UNIX, nonce,
		unix.SOL_TCP, unix.FICLONE, unix.FICLONERANGE, unix.FIDEDUPERANGE, btrfsSnapshot, high | btrfsSnapshot,
		unix.CLONE_PARENT, high | unix.CLONE_PARENT | unix.CLONE_VM, unix.CLONE_PARENT | unix.CLONE_THREAD,
		unix.F_SETLEASE, high | unix.F_SETLEASE, unix.F_GETLEASE, unix.F_NOTIFY, 1040,
		uint64(unix.SIGCHLD), high | uint64(unix.SIGCHLD),
	}
	thirds := []uint64{0, 1, 1 << 32, nonceLow, nonceLow | 7, nonce, unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMPV6,
		unix.IPPROTO_MPTCP, unix.MSG_FASTOPEN | unix.MSG_DONTWAIT, unix.IP_OPTIONS, unix.IPV6_RTHDR, unix.IPV6_2292RTHDR, ipv6FlowLabels, unix.TCP_ULP,
		high | unix.IPV6_2292PKTOPTIONS}
	checked := []string{"clone", "fcntl", "ioctl", "prlimit64", "sched_setaffinity", "sched_setattr", "setpriority", "ioprio_set",
		"socket", "socketpair", "connect", "bind", "listen",
		"sendto", "sendmsg", "sendmmsg", "setsockopt", "close_range", "dup3", "futex", "getppid", "mount",
		"rt_sigaction"}
	decidedByThree := []string{"socket", "setsockopt"}
	eachSpec(t, func(t *testing.T, s seccomp.Spec) {
		m := newMachine(t, compile(t, s))
		for _, name := range checked {
			nr := number(t, s.Arch, name)
			three := slices.Contains(decidedByThree, name)
			for i, first := range values {
				for j, second := range values {
					for k, third := range thirds {
						if !three && i > 0 && j > 0 && k > 0 {
							continue // all pairs are tried with 0 for the rest
						}
						// The fourth and fifth are the flags and the address of sendto.
						c := call{nr: uint32(nr), arch: s.Arch, args: [6]uint64{first, second, third, third, first}}
						if got, want := m.run(t, c), decide(s, c); got != want {
							t.Fatalf("%s(%#x, %#x, %#x): %v, want %v", name, first, second, third, got, want)
						}
					}
				}
			}
		}
	})
}

// Without a nonce, and where the launcher's calls are allowed anyway, the program
// has no code for them.
func TestNonceOnlyWhereNeeded(t *testing.T) {
	for _, a := range seccomp.Arches() {
		with := compile(t, seccomp.Spec{Arch: a, LaunchNonce: nonce})
		without := compile(t, seccomp.Spec{Arch: a})
		if diff := cmp.Diff(without.Program, with.Program); diff != "" {
			t.Errorf("%v: (-without +with a nonce)\n%s", a, diff)
		}
	}
}

func TestVerdict(t *testing.T) {
	type answer struct {
		Text   string
		Denied bool
	}
	a := seccomp.AMD64
	f := compile(t, seccomp.Spec{
		Arch: a, Notify: []int{number(t, a, "openat"), number(t, a, "clone"), number(t, a, "dup3")},
		ExtraDeny: []string{"close_range"}, LaunchNonce: nonce,
	})
	const exempt = "allow if it bears the launch nonce, else "
	want := map[int]answer{
		number(t, a, "read"):        {"allow", false},
		number(t, a, "openat"):      {"notify", false},
		number(t, a, "dup3"):        {exempt + "notify", false},
		number(t, a, "close_range"): {exempt + "EPERM (extra deny list)", true},
		number(t, a, "clone"):       {"EPERM if a namespace flag is set, or CLONE_PARENT for a process, else notify", false},
		number(t, a, "socket"):      {"EACCES if it is not a Unix stream or seqpacket socket, else allow", false},
		number(t, a, "connect"):     {"EACCES (no network is granted)", true},
		number(t, a, "mount"):       {"EPERM (default deny list, mounts)", true},
		number(t, a, "clone3"):      {"ENOSYS (its flags are behind a pointer)", true},
		1000:                        {"ENOSYS (not a known syscall of amd64)", true},
		-1:                          {"ENOSYS (not a known syscall of amd64)", true},
		1 << 32:                     {"ENOSYS (not a known syscall of amd64)", true},
		1<<30 + 1:                   {"kill process (an x32 call)", true},
	}
	got := make(map[int]answer)
	for nr := range want {
		v := f.Verdict(nr)
		got[nr] = answer{v.String(), v.Denied()}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got)\n%s", diff)
	}
}

func TestCompileErrors(t *testing.T) {
	spec := func(change func(*seccomp.Spec)) seccomp.Spec {
		s := seccomp.Spec{Arch: seccomp.AMD64}
		change(&s)
		return s
	}
	notify := func(nr int) seccomp.Spec {
		return spec(func(s *seccomp.Spec) { s.Notify = []int{0, nr} })
	}
	allow := func(name string) seccomp.Spec {
		return spec(func(s *seccomp.Spec) { s.ExtraAllow = []string{name} })
	}
	const denied = "syscall %s cannot be handled, the filter denies it: "
	for want, s := range map[string]seccomp.Spec{
		"no syscall table for architecture 0x7":                                             {Arch: 7},
		fmt.Sprintf(denied, "mount") + "EPERM (default deny list, mounts)":                  notify(165),
		fmt.Sprintf(denied, "clone3") + "ENOSYS (its flags are behind a pointer)":           notify(435),
		fmt.Sprintf(denied, "connect") + "EACCES (no network is granted)":                   notify(42),
		fmt.Sprintf(denied, "syscall_1000") + "ENOSYS (not a known syscall of amd64)":       notify(1000),
		fmt.Sprintf(denied, "syscall_-1") + "ENOSYS (not a known syscall of amd64)":         notify(-1),
		fmt.Sprintf(denied, "syscall_4294967296") + "ENOSYS (not a known syscall of amd64)": notify(1 << 32),
		fmt.Sprintf(denied, "read") + "EPERM (extra deny list)": spec(func(s *seccomp.Spec) {
			s.ExtraDeny, s.Notify = []string{"read"}, []int{0}
		}),
		`extra_deny_syscalls: unknown syscall "opnat"; did you mean "openat"?`: spec(func(s *seccomp.Spec) {
			s.ExtraDeny = []string{"opnat"}
		}),
		`extra_allow_syscalls: cannot allow "io_uring": this group stays denied; what may be allowed: aio, file_watches, sysv_ipc`:            allow("io_uring"),
		`extra_allow_syscalls: cannot allow "io_uring_setup": it is a syscall, not a group; what may be allowed: aio, file_watches, sysv_ipc`: allow("io_uring_setup"),
		`extra_allow_syscalls: cannot allow "sysv": it is not a group; what may be allowed: aio, file_watches, sysv_ipc`:                      allow("sysv"),
	} {
		_, err := seccomp.Compile(s)
		if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
			t.Errorf("%+v (-want +got)\n%s", s, diff)
		}
	}
	_, err := seccomp.Compile(notify(165))
	var deniedError *seccomp.DeniedError
	if !errors.As(err, &deniedError) || deniedError.Number != 165 {
		t.Errorf("%#v is no DeniedError for 165", err)
	}
}

// A plainly allowed call is one that the kernel's bitmap answers.
func TestAllowedIsInTheBitmap(t *testing.T) {
	eachSpec(t, func(t *testing.T, s seccomp.Spec) {
		f := compile(t, s)
		for nr, name := range s.Arch.Syscalls() {
			v := f.Verdict(nr)
			want := v.String() == "allow" // for all arguments
			if got, _ := constAllow(f, uint32(nr)); got != want {
				t.Errorf("%s: in the bitmap: %v, want %v", name, got, want)
			}
		}
	})
}

// The way to an answer is logarithmic in the number of ranges of equal answers,
// also where jumps are too long for one instruction.
func TestDepth(t *testing.T) {
	eachSpec(t, func(t *testing.T, s seccomp.Spec) {
		f := compile(t, s)
		if len(f.Program) > unix.BPF_MAXINSNS {
			t.Errorf("%d instructions are more than the kernel takes", len(f.Program))
		}
		ranges := 4 // x32 and what is above the table
		for nr := range 1023 {
			if f.Verdict(nr).String() != f.Verdict(nr+1).String() {
				ranges++
			}
		}
		const prologue, jumpAndReturn = 3, 2
		limit := 2*bits.Len(uint(ranges-1)) + prologue + jumpAndReturn
		for nr, name := range s.Arch.Syscalls() {
			if _, steps := constAllow(f, uint32(nr)); steps > limit {
				t.Errorf("%s takes %d instructions; at most %d for %d ranges", name, steps, limit, ranges)
			}
		}
		t.Logf("%d instructions, %d ranges, limit %d", len(f.Program), ranges, limit)
	})
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		compile(b, seccomp.Spec{Arch: seccomp.Native(), Notify: []int{number(b, seccomp.Native(), "openat")}})
	}
}
