package seccomp_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/seccomp"
)

// The numbers are those of the kernel's syscall_64.tbl and unistd.h.
func TestNumber(t *testing.T) {
	for _, want := range []struct {
		name         string
		amd64, arm64 int
	}{
		{"read", 0, 63}, {"openat", 257, 56}, {"newfstatat", 262, 79}, {"fadvise64", 221, 223},
		{"umount2", 166, 39}, {"pread64", 17, 67}, {"sendfile", 40, 71}, {"clone", 56, 220},
		{"execve", 59, 221}, {"clone3", 435, 435}, {"io_uring_setup", 425, 425},
		{"seccomp", 317, 277}, {"prlimit64", 302, 261}, {"open_tree_attr", 467, 467},
	} {
		for a, nr := range map[seccomp.Arch]int{seccomp.AMD64: want.amd64, seccomp.ARM64: want.arm64} {
			got, err := a.Number(want.name)
			if err != nil || got != nr {
				t.Errorf("%v %s: %d, %v, want %d", a, want.name, got, err, nr)
			}
			if got := a.Name(nr); got != want.name {
				t.Errorf("%v %d: %s, want %s", a, nr, got, want.name)
			}
		}
	}
	if got := number(t, seccomp.Native(), "openat"); got != unix.SYS_OPENAT {
		t.Errorf("native openat: %d, want %d", got, unix.SYS_OPENAT)
	}
}

func TestNumberAndNameAgree(t *testing.T) {
	for _, a := range seccomp.Arches() {
		count, last := 0, -1
		for nr, name := range a.Syscalls() {
			if got, err := a.Number(name); err != nil || got != nr || a.Name(nr) != name || nr <= last {
				t.Errorf("%v %d %s: Number %d, %v; Name %s; after %d", a, nr, name, got, err, a.Name(nr), last)
			}
			count, last = count+1, nr
		}
		if count < 300 {
			t.Errorf("%v has only %d syscalls", a, count)
		}
	}
}

func TestNameOfUnknown(t *testing.T) {
	for nr, want := range map[int]string{
		-1: "syscall_-1", 337: "syscall_337", 12345: "syscall_12345", 1 << 30: "syscall_1073741824",
	} {
		if got := seccomp.AMD64.Name(nr); got != want {
			t.Errorf("%d: %s, want %s", nr, got, want)
		}
	}
	if got := seccomp.Arch(0).Name(0); got != "syscall_0" {
		t.Errorf("no architecture: %s", got)
	}
	if got := seccomp.ARM64.Name(244); got != "syscall_244" {
		t.Errorf("arm64's reserved numbers: %s", got)
	}
}

func TestUnknownNames(t *testing.T) {
	for _, test := range []struct {
		arch seccomp.Arch
		name string
		want string
	}{
		{seccomp.AMD64, "opnat", `unknown syscall "opnat"; did you mean "openat"?`},
		{seccomp.AMD64, "OPENAT", `unknown syscall "OPENAT"; did you mean "openat"?`},
		{seccomp.ARM64, "umount", `unknown syscall "umount"; did you mean "umount2"?`},
		{seccomp.ARM64, "open", `syscall "open" does not exist on arm64, only on amd64`},
		{seccomp.AMD64, "make_me_a_sandwich", `unknown syscall "make_me_a_sandwich"; syscalls(2) lists them`},
		{seccomp.AMD64, "", `unknown syscall ""; syscalls(2) lists them`},
		{seccomp.AMD64, "sysv_ipc", `unknown syscall "sysv_ipc"; syscalls(2) lists them`},
	} {
		_, err := test.arch.Number(test.name)
		var unknown *seccomp.UnknownSyscallError
		if !errors.As(err, &unknown) || unknown.Name != test.name {
			t.Errorf("%q: %#v is no UnknownSyscallError", test.name, err)
		}
		if diff := cmp.Diff(test.want, fmt.Sprint(err)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestExpand(t *testing.T) {
	got, err := seccomp.ARM64.Expand([]string{"openat", "clocks", "read", "openat", "port_io"})
	want := []int{56, 63, 112, 170, 171, 266} // arm64 has no ioperm and iopl
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for name, want := range map[string]string{
		"sysv_icp": `unknown syscall "sysv_icp"; did you mean "sysv_ipc"?`,
		"opnat":    `unknown syscall "opnat"; did you mean "openat"?`,
		"stat":     `syscall "stat" does not exist on arm64, only on amd64`,
	} {
		_, err := seccomp.ARM64.Expand([]string{"read", name})
		if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
