package limits

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever executes a program that it may not read lets nobody look at it. Where /proc hides it altogether, it must not
// count as gone.
func TestHiddenProcess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts /proc anew")
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	text, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("/tmp", "sandlock-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	program := filepath.Join(folder, "sleep")
	if err := errors.Join(os.WriteFile(program, text, 0o111), os.Chmod(program, 0o111), os.Chmod(folder, 0o755)); err != nil {
		t.Fatal(err)
	}
	var skipped, failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		skipped, failed = lookForHidden(program)
	}()
	<-done
	if skipped != nil {
		t.Skip(skipped)
	}
	if failed == nil || errors.Is(failed, fs.ErrNotExist) {
		t.Errorf("the children of a hidden process: %v", failed)
	}
}

// lookForHidden changes the thread that it is called on.
func lookForHidden(program string) (skipped, failed error) {
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", 0, "hidepid=2")); err != nil {
		return err, nil
	}
	const nobody = 65534
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return errno, nil
	}
	for _, nr := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} { // of this thread alone
		if _, _, errno := unix.RawSyscall(nr, nobody, nobody, nobody); errno != 0 {
			return errno, nil
		}
	}
	command := exec.Command(program, "60")
	if err := command.Start(); err != nil {
		return err, nil
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait() // killed
	}()
	_, failed = children(command.Process.Pid)
	return nil, failed
}
