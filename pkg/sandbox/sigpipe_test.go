package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/sandbox"
)

func init() {
	hosts["default SIGPIPE"] = func(report *os.File) error {
		// As a host in another language does it, behind the back of Go's runtime: signal(SIGPIPE, SIG_DFL).
		var action [4]uint64
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGPIPE), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
		if errno != 0 {
			return errno
		}
		c := shell("exec <&-; echo on; exit 3")
		c.Stdin, c.Input = sandbox.Pipe(), random(1<<20)
		result, err := newSandbox().Run(context.Background(), c)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(report, "%d %q", result.ExitCode, result.Stdout)
		return err
	}
}

// A command that closes its stdin early must not end a host for whom SIGPIPE is deadly.
func TestHostWithDefaultSIGPIPE(t *testing.T) {
	if got, want := asHost(t, "default SIGPIPE"), `3 "on\n"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
