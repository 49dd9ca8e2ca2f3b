package landlock

import (
	"runtime"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestSignalScopeNeedsItsABI(t *testing.T) {
	for abi := 1; abi < 6; abi++ {
		if ruleset, err := SignalScope(abi); ruleset != nil || err != nil {
			t.Errorf("ABI %d: %v, %v", abi, ruleset, err)
		}
	}
}

// Who enforces it reaches its own descendants, and is restricted in nothing else.
func TestSignalScopeRestrictsSignalsAlone(t *testing.T) {
	needABI(t, 6)
	ruleset, err := SignalScope(newest(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ruleset.Close()
	outside := outsider(t)
	root := tree(t, "file", "a/moved", "a/linked", "b/keep")
	file := root + "/file"
	got := onConfinedThread(ruleset, attempts{
		"signal an outsider":  func() error { return unix.Kill(outside, 0) },
		"signal a descendant": signalDescendant,
		"signal itself":       func() error { return unix.Tgkill(unix.Getpid(), unix.Gettid(), 0) },
		"move a file":         func() error { return unix.Rename(root+"/a/moved", root+"/b/moved") },
		"link a file":         func() error { return unix.Link(root+"/a/linked", root+"/b/linked") },
		"read a file":         read(file),
		"write a file":        write(file),
		"list a folder":       listed("/"),
		"execute":             execute("/bin/true"),
		"bind a TCP socket":   bindTCP,
	})
	expect(t, map[string]string{
		"signal an outsider": "EPERM", "signal a descendant": "ok", "signal itself": "ok", "read a file": "ok", "write a file": "ok",
		"list a folder": "ok", "execute": "ok", "bind a TCP socket": "ok", "move a file": "ok", "link a file": "ok",
	}, got)
}

// signalDescendant ends a process that it has started.
func signalDescendant() error {
	pid, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "600"}, &syscall.ProcAttr{})
	if err != nil {
		return err
	}
	failed := unix.Kill(pid, unix.SIGKILL)
	if failed != nil {
		return failed
	}
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return err
		}
	}
}

func bindTCP() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

// The kernel takes the flags of its own ABI. What they keep out of the audit log only its reader could tell.
func TestQuietFlags(t *testing.T) {
	got := map[int]uint{}
	for abi := range 11 {
		got[abi] = QuietFlags(abi)
	}
	const quiet uint = unix.LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF
	if diff := cmp.Diff(map[int]uint{0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: quiet, 8: quiet, 9: quiet, 10: quiet}, got); diff != "" {
		t.Errorf("flags by ABI (-want +got)\n%s", diff)
	}
	needABI(t, 6)
	ruleset, err := SignalScope(newest(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ruleset.Close()
	flags := QuietFlags(newest(t))
	outcomes := make(chan string)
	go func() {
		runtime.LockOSThread() // for good: the thread ends confined
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			outcomes <- err.Error()
			return
		}
		_, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset.Fd()), uintptr(flags), 0)
		if errno != 0 {
			outcomes <- outcome(errno)
			return
		}
		outcomes <- "ok"
	}()
	if got := <-outcomes; got != "ok" {
		t.Errorf("landlock_restrict_self: %s", got)
	}
}
