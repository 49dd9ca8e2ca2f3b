package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// builtinChecks single out the calls that handlers of sandlock's own want of a syscall, where these are not all.
var builtinChecks = map[string]*check{
	// Every program asks where its break is before anything else, and hardly ever again.
	"brk": {
		when: "it asks for the break",
		then: Notify,
		emit: func(a *assembler, yes, no label) label {
			high := a.branch(bpf.JumpEqual, 0, yes, no)
			low := a.branch(bpf.JumpEqual, 0, a.load(argHigh(0), high), no)
			return a.load(argLow(0), low)
		},
	},
	// The clocks that tell the time of day. The kernel looks at the low 32 bits.
	"clock_gettime": {
		when: "it asks for the time of day",
		then: Notify,
		emit: func(a *assembler, yes, no label) label {
			next := no
			for _, clock := range []uint32{unix.CLOCK_TAI, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_REALTIME} {
				next = a.branch(bpf.JumpEqual, clock, yes, next)
			}
			return a.load(argLow(0), next)
		},
	},
}

// optional sends calls to the supervisor that nothing denies.
func (f *Filter) optional(numbers []int) {
	for _, nr := range numbers {
		if v := f.find(nr); v.Action == Allow {
			v.Action = Notify // of sendto only what has an address, see networkRules
		}
	}
}

// builtin sends the calls to the supervisor that handlers of sandlock's own want. Calls that are denied, or that the
// architecture lacks, are none that they miss; those that a user handles come anyway.
func (f *Filter) builtin(names []string) {
	for _, name := range names {
		v := f.named(name)
		switch {
		case v == nil || v.Action != Allow:
		case builtinChecks[name] != nil && v.check == nil:
			v.check = builtinChecks[name]
		default:
			v.notify()
		}
	}
}
