package policy

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNormalized(t *testing.T) {
	given := &Policy{
		FSReadable:        []string{"/usr/", "//usr", "/usr/./lib", "a/../b", "./", "caf\xe9/", "/"},
		FSWritable:        []string{"work", "work/."},
		ExtraDenySyscalls: []string{"mount", "getppid", "mount"},
		Env:               map[string]string{"A": "1"},
		Cwd:               "./work//",
		MaxOpenFiles:      limit(20),
		AllowDegraded:     []Protection{NetTCP, FSRefer, NetTCP},
		Disable:           []Protection{NetTCP},
	}
	want := &Policy{
		FSReadable:        []string{"/usr", "/usr/lib", "a/../b", ".", "caf\xe9", "/"},
		FSWritable:        []string{"work"},
		ExtraDenySyscalls: []string{"mount", "getppid"},
		Env:               map[string]string{"A": "1"},
		Cwd:               "work",
		MaxOpenFiles:      limit(20),
		AllowDegraded:     []Protection{NetTCP, FSRefer},
		Disable:           []Protection{NetTCP},
	}
	got, err := given.Normalized()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Normalized (-want +got):\n%s", diff)
	}

	got.FSReadable[0], got.Env["A"], *got.MaxOpenFiles, got.Disable[0] = "x", "x", 0, FSRefer
	if given.FSReadable[0] != "/usr/" || given.Env["A"] != "1" || *given.MaxOpenFiles != 20 || given.Disable[0] != NetTCP {
		t.Error("the normalized policy shares memory with the one it came from")
	}
}

func TestValidateRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		policy Policy
		want   string
	}{
		"empty path":        {Policy{FSReadable: []string{"/", ""}}, `fs_readable: "" is an empty path; write "." for the working directory`},
		"NUL in a path":     {Policy{FSWritable: []string{"a\x00b"}}, `fs_writable: "a\x00b" contains a NUL byte; the kernel ends every string at a NUL byte: take it out`},
		"NUL, denied":       {Policy{FSDenied: []string{"\xff\x00"}}, `fs_denied: "\xff\x00" contains a NUL byte; the kernel ends every string at a NUL byte: take it out`},
		"empty syscall":     {Policy{ExtraDenySyscalls: []string{""}}, `extra_deny_syscalls: "" is an empty name; take it out of the list`},
		"NUL in a group":    {Policy{ExtraAllowSyscalls: []string{"\x00"}}, `extra_allow_syscalls: "\x00" contains a NUL byte; the kernel ends every string at a NUL byte: take it out`},
		"env without name":  {Policy{Env: map[string]string{"": "x"}}, `env: "" is an empty variable name; give the variable a name`},
		"env name with =":   {Policy{Env: map[string]string{"A=B": "x"}}, `env: "A=B" has "=" in the variable's name; the name ends at the first =, so none may be part of it`},
		"NUL in env name":   {Policy{Env: map[string]string{"A\x00": "x"}}, `env: "A\x00" contains a NUL byte; the kernel ends every string at a NUL byte: take it out`},
		"NUL in env value":  {Policy{Env: map[string]string{"TOKEN": "secret\x00"}}, `env: "TOKEN" has a value that contains a NUL byte; the kernel ends every string at a NUL byte: take it out`},
		"NUL in cwd":        {Policy{Cwd: "\x00"}, `cwd: "\x00" contains a NUL byte; the kernel ends every string at a NUL byte: take it out`},
		"no files":          {Policy{MaxOpenFiles: limit(0)}, "max_open_files: 0 leaves no room for standard input, output and error; most programs need 10 or more; leave the field out to keep the host's limit"},
		"absurdly many":     {Policy{MaxOpenFiles: limit(1 << 40)}, "max_open_files: 1099511627776 is more than any kernel allows; leave the field out to keep the host's limit"},
		"no memory":         {Policy{MaxMemory: limit(0)}, "max_memory: 0 leaves the command no memory; most programs need 16M or more; leave the field out for no limit"},
		"no process":        {Policy{MaxProcesses: limit(0)}, "max_processes: 0 leaves no process for the command; write 1 or more, or leave the field out"},
		"no CPUs":           {Policy{CPUCores: []int{}}, "cpu_cores: [] names no CPU to run on; leave the field out for all that the host may use"},
		"negative CPU":      {Policy{CPUCores: []int{0, -1}}, "cpu_cores: -1 is not the number of a CPU; they are numbered from 0 to 1023, see /sys/devices/system/cpu/online"},
		"beyond all CPUs":   {Policy{CPUCores: []int{1024}}, "cpu_cores: 1024 is not the number of a CPU; they are numbered from 0 to 1023, see /sys/devices/system/cpu/online"},
		"zero CPUs":         {Policy{NumCPUs: limit(0)}, "num_cpus: 0 leaves no CPU to run on; write 1 or more, or leave the field out for all that the host may use"},
		"unknown degraded":  {Policy{AllowDegraded: []Protection{9}}, "allow_degraded: 9 is not the number of a protection; " + protectionHint},
		"negative disabled": {Policy{Disable: []Protection{-1}}, "disable: -1 is not the number of a protection; " + protectionHint},
	} {
		t.Run(name, func(t *testing.T) {
			normal, err := test.policy.Normalized()
			if normal != nil {
				t.Errorf("Normalized = %+v, want nothing", normal)
			}
			var problem *Error
			if !errors.As(err, &problem) {
				t.Fatalf("error %v is no *Error", err)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, p := range map[string]Policy{
		"nothing":                   {},
		"any bytes but NUL":         {FSReadable: []string{"\xff\n\t "}, Env: map[string]string{"\xfe": "\xff=\n"}},
		"denied and granted":        {FSReadable: []string{"/a"}, FSWritable: []string{"/a"}, FSDenied: []string{"/a"}},
		"degraded and disabled":     {AllowDegraded: Protections(), Disable: Protections()},
		"the fewest files there is": {MaxOpenFiles: limit(3)},
	} {
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
