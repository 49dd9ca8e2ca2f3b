package seccomp_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/seccomp"
)

func TestBuiltin(t *testing.T) {
	const high = 0xdeadbeef << 32
	for _, a := range seccomp.Arches() {
		spec := seccomp.Spec{Arch: a, Builtin: []string{"brk", "clock_gettime", "getrandom", "mount", "time", "no_such_call"},
			ExtraDeny: []string{"getrandom"}}
		handled := spec
		handled.Notify = []int{number(t, a, "brk")}
		for name, test := range map[string]struct {
			spec seccomp.Spec
			call string
			arg  uint64
			want seccomp.Action
		}{
			"asks for the break":         {spec, "brk", 0, seccomp.Notify},
			"moves the break":            {spec, "brk", 0x1000, seccomp.Allow},
			"moves it far":               {spec, "brk", high, seccomp.Allow},
			"a user handles every call":  {handled, "brk", 0x1000, seccomp.Notify},
			"the time of day":            {spec, "clock_gettime", unix.CLOCK_REALTIME, seccomp.Notify},
			"the kernel reads 32 bits":   {spec, "clock_gettime", high | unix.CLOCK_TAI, seccomp.Notify},
			"the coarse time of day":     {spec, "clock_gettime", unix.CLOCK_REALTIME_COARSE, seccomp.Notify},
			"time since the boot":        {spec, "clock_gettime", unix.CLOCK_MONOTONIC, seccomp.Allow},
			"denied by the user":         {spec, "getrandom", 0, seccomp.Errno(unix.EPERM)},
			"denied by default":          {spec, "mount", 0, seccomp.Errno(unix.EPERM)},
			"nothing is asked of others": {spec, "getppid", 0, seccomp.Allow},
		} {
			t.Run(a.String()+"/"+name, func(t *testing.T) {
				m := newMachine(t, compile(t, test.spec))
				c := call{nr: uint32(number(t, a, test.call)), arch: a, args: [6]uint64{test.arg}}
				if got := m.run(t, c); got != test.want {
					t.Errorf("%s(%#x): %v, want %v", test.call, test.arg, got, test.want)
				}
			})
		}
	}
}
