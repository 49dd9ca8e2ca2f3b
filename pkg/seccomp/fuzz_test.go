package seccomp_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/seccomp"
)

// FuzzFilter compares random filters with the reference: seed and the densities
// choose what is notified and denied, the rest is one call.
func FuzzFilter(f *testing.F) {
	f.Add(uint64(1), byte(0), byte(0), uint64(0), uint32(56), uint64(0x10000000), uint64(0), uint64(0))
	f.Add(uint64(2), byte(255), byte(0), uint64(nonce), uint32(24), uint64(3), uint64(nonceHigh), uint64(nonceLow))
	f.Add(uint64(3), byte(128), byte(100), uint64(nonce), uint32(41), uint64(1), uint64(5), uint64(0))
	f.Add(uint64(5), byte(0), byte(0), uint64(0), uint32(13), uint64(unix.SIGCHLD), uint64(1), uint64(0))
	f.Add(uint64(6), byte(0), byte(0), uint64(0), uint32(157), uint64(unix.PR_SET_CHILD_SUBREAPER), uint64(1), uint64(0))
	f.Add(uint64(4), byte(9), byte(9), uint64(0), uint32(1<<30), uint64(0), uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, seed uint64, notify, deny byte, nonce uint64, nr uint32, arg0, arg1, arg2 uint64) {
		random := rand.New(rand.NewPCG(seed, 0))
		chance := func(density byte) bool { return byte(random.Uint32N(256)) < density }
		s := seccomp.Spec{Arch: seccomp.Arches()[random.IntN(2)], LaunchNonce: nonce}
		if chance(128) {
			s.ExtraAllow = []string{"sysv_ipc"}
		}
		s.ChildSignal = chance(128)
		s.NoSubreapers = chance(128)
		for known, name := range s.Arch.Syscalls() {
			if chance(deny) {
				s.ExtraDeny = append(s.ExtraDeny, name)
			}
			if chance(notify) {
				s.Notify = append(s.Notify, known)
			}
		}
		outright := func(nr int) bool { return deniedOutright(s, nr) }
		if slices.ContainsFunc(s.Notify, outright) {
			_, err := seccomp.Compile(s)
			var denied *seccomp.DeniedError
			if !errors.As(err, &denied) || !outright(denied.Number) {
				t.Fatalf("error %v for a denied syscall among %v", err, s.Notify)
			}
			s.Notify = slices.DeleteFunc(s.Notify, outright)
		}
		m := newMachine(t, compile(t, s))
		// The call that the fuzzer chose, and the same arguments for each number.
		numbers := []uint32{nr}
		for n := range uint32(600) {
			numbers = append(numbers, n)
		}
		for _, n := range numbers {
			c := call{nr: n, arch: s.Arch, args: [6]uint64{arg0, arg1, arg2}}
			if got, want := m.run(t, c), decide(s, c); got != want {
				t.Fatalf("%v %s%#x: %v, want %v, by %+v", c.arch, c.arch.Name(int(c.nr)), c.args[:3], got, want, s)
			}
		}
	})
}
