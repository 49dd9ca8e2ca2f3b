package seccomp

import (
	"cmp"
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/network"
)

// Spec says what a filter answers, on top of the defaults. Deny beats notify.
type Spec struct {
	Arch       Arch
	Notify     []int    // numbers of the syscalls for the supervisor
	Optional   []int    // numbers of more of them, which are left out where they are denied
	Builtin    []string // names of those that only handlers of sandlock's own want: see builtin
	ExtraDeny  []string // names of syscalls or groups that are denied as well
	ExtraAllow []string // groups that are taken off the default deny list
	Network    network.Calls
	// ChildSignal tells the supervisor of each rt_sigaction that sets what SIGCHLD does; see supervise.RestartCalls.
	ChildSignal bool
	// NoSubreapers denies to adopt orphans: their parent tells who they descend from, or that nobody knows.
	NoSubreapers bool
	// LaunchNonce lets the launcher through to the calls that it makes after the
	// filter is in force (see launcherCheck) where the filter would deny them or
	// wait for a supervisor. A random number of this run; 0 exempts nothing.
	LaunchNonce uint64
}

// Filter is a compiled Spec.
type Filter struct {
	Arch    Arch
	Program []unix.SockFilter
	spans   []span // one for each number of the table, then the ranges above it
}

// Compile checks a Spec and makes its filter. Errors: *UnknownSyscallError,
// *AllowError, *DeniedError.
func Compile(s Spec) (*Filter, error) {
	if s.Arch.names() == nil {
		return nil, fmt.Errorf("no syscall table for %v", s.Arch)
	}
	f := &Filter{Arch: s.Arch, spans: defaultSpans(s.Arch)}
	if err := f.deny(s); err != nil {
		return nil, err
	}
	for _, nr := range s.Notify {
		v := f.find(nr)
		if v.Denied() {
			return nil, &DeniedError{Number: nr, Name: s.Arch.Name(nr), Verdict: *v}
		}
		v.notify()
	}
	if v := f.named("rt_sigaction"); s.ChildSignal && v.Action == Allow {
		v.check = &childSignal
	}
	if v := f.named("prctl"); s.NoSubreapers && !v.Denied() {
		v.check = &subreaper
	}
	f.optional(s.Optional)
	f.builtin(s.Builtin)
	if s.LaunchNonce != 0 {
		f.exempt(launcherCheck(s.LaunchNonce))
	}
	var err error
	f.Program, err = assemble(s.Arch, f.spans)
	return f, err
}

// notify sends the calls to the supervisor that are not denied.
func (v *Verdict) notify() {
	v.Action = Notify
	if v.check != nil && v.check.then == Allow {
		v.check = nil // who asks for a call gets every one
	}
}

// Verdict returns what the filter answers to a syscall.
func (f *Filter) Verdict(nr int) Verdict { return *f.find(nr) }

// x32 calls have bit 30 of the number set; a number with bit 31 is just unknown.
const (
	x32First = 1 << 30
	x32End   = 1 << 31
)

// defaultSpans allows the known syscalls and no others.
func defaultSpans(arch Arch) []span {
	unknown := Verdict{Action: Errno(unix.ENOSYS), Reason: fmt.Sprintf("not a known syscall of %v", arch)}
	names := arch.names()
	spans := make([]span, len(names), len(names)+3)
	for nr, name := range names {
		spans[nr] = span{first: uint32(nr), verdict: Verdict{Action: Allow}}
		if name == "" {
			spans[nr].verdict = unknown
		}
	}
	spans = append(spans, span{uint32(len(names)), unknown})
	if arch == AMD64 {
		x32 := Verdict{Action: KillProcess, Reason: "an x32 call"}
		spans = append(spans, span{x32First, x32}, span{x32End, unknown})
	}
	return spans
}

// find returns the verdict on a number, for reading or changing. What is no
// number at all belongs to the last span, which is unknown numbers.
func (f *Filter) find(nr int) *Verdict {
	i := len(f.spans) - 1
	if nr >= 0 {
		i = min(nr, i)
		for int(f.spans[i].first) > nr {
			i--
		}
	}
	return &f.spans[i].verdict
}

// named returns the verdict on a syscall, nil where the architecture lacks it.
func (f *Filter) named(name string) *Verdict {
	nr, ok := f.Arch.numbers()[name]
	if !ok {
		return nil
	}
	return f.find(nr)
}

// deny enters the argument checks, the network's rules and the deny lists.
func (f *Filter) deny(s Spec) error {
	for name, c := range argumentChecks {
		if v := f.named(name); v != nil {
			v.check = c
		}
	}
	for name, rule := range networkRules(s.Network) {
		if v := f.named(name); v != nil {
			*v = rule
		}
	}
	taken := make(map[string]bool)
	for _, name := range s.ExtraAllow {
		if err := s.Arch.checkAllow(name); err != nil {
			return fmt.Errorf("extra_allow_syscalls: %w", err)
		}
		taken[name] = true
	}
	if taken["file_watches"] {
		f.named("fcntl").check = takesLease
	}
	for _, g := range defaultDeny {
		if taken[g.name] {
			continue
		}
		denied := Verdict{Action: Errno(cmp.Or(g.errno, unix.EPERM)), Reason: "default deny list, " + g.name}
		for _, nr := range g.numbers(s.Arch) {
			*f.find(nr) = denied
		}
	}
	extra, err := s.Arch.Expand(s.ExtraDeny)
	if err != nil {
		return fmt.Errorf("extra_deny_syscalls: %w", err)
	}
	for _, nr := range extra {
		*f.find(nr) = Verdict{Action: Errno(unix.EPERM), Reason: "extra deny list"}
	}
	// Last, as nothing may replace it: ENOSYS is what sends libc to clone.
	*f.named("clone3") = Verdict{Action: Errno(unix.ENOSYS), Reason: "its flags are behind a pointer"}
	return nil
}

// exempt lets the launcher's calls through where they would not be allowed.
func (f *Filter) exempt(c *check) {
	for _, name := range launcherCalls {
		if v := f.named(name); v != nil && v.Action != Allow {
			v.check = c
		}
	}
}
