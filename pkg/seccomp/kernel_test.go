package seccomp_test

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/seccomp"
)

// askEnv makes the test binary the child of TestListenerFlags.
const askEnv = "SECCOMP_TEST_ASK"

// asked is how often the child asks.
const asked = 200

func init() {
	if os.Getenv(askEnv) == "" {
		return
	}
	signalled := make(chan os.Signal, 1)
	signal.Notify(signalled, unix.SIGUSR1)
	right := 0
	for i := range uintptr(asked) {
		if answer, _, errno := unix.Syscall(unix.SYS_GETPPID, i, 0, 0); errno == 0 && answer == i {
			right++
		}
	}
	<-signalled
	fmt.Println(right)
	os.Exit(0)
}

// With these flags a filter has a listener, and a call that was received is not interrupted by a signal, where the
// kernel can see to that: otherwise it would come again.
func TestListenerFlags(t *testing.T) {
	flags := seccomp.ListenerFlags()
	if flags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
		t.Fatalf("flags %#x make no listener", flags)
	}
	killable := flags&unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV != 0
	if !killable && !older(t, 5, 19) {
		t.Errorf("flags %#x are without WAIT_KILLABLE_RECV, which this kernel has", flags)
	}
	p, output := asking(t, flags)
	overdue := time.AfterFunc(time.Minute, func() { p.Signal(unix.SIGKILL) })
	listener, err := notify.NewListener(p.Listener)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	received := 0
	for {
		var n notify.Notification
		if err := listener.Receive(&n); err != nil {
			break
		}
		received++
		if err := unix.Tgkill(p.PID, n.Task(), unix.SIGUSR1); err != nil {
			t.Error(err)
		}
		if killable && !n.Valid() {
			t.Error("a signal has interrupted a call that was received")
		}
		if err := n.Return(int64(n.Args()[0])); err != nil {
			t.Error(err)
		}
	}
	overdue.Stop()
	var right int
	if _, err := fmt.Fscan(output, &right); err != nil {
		rest, _ := io.ReadAll(output)
		t.Errorf("the child says %q: %v", rest, err)
	}
	if status, err := p.Wait(); err != nil || status != (launch.Status{}) {
		t.Errorf("%+v, %v", status, err)
	}
	if right != asked || killable && received != asked {
		t.Errorf("%d of %d calls were answered rightly, %d were received", right, asked, received)
	}
}

// asking starts the child behind a filter.
func asking(t *testing.T, flags uint) (*launch.Process, io.Reader) {
	t.Helper()
	filter, err := seccomp.Compile(seccomp.Spec{Arch: seccomp.Native(), Notify: []int{unix.SYS_GETPPID}})
	if err != nil {
		t.Fatal(err)
	}
	output, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { output.Close() })
	defer w.Close()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := int(w.Fd())
	p, err := launch.Start(launch.Spec{Path: executable, Argv: []string{executable},
		Env: []string{askEnv + "=1", "GORACE=atexit_sleep_ms=0"}, Dir: -1, Files: []int{out, out, out},
		Ruleset: -1, ReaperRuleset: -1, Filter: filter.Program, FilterFlags: flags})
	if err != nil {
		t.Fatal(err)
	}
	return p, output
}

// older says whether the running kernel is older than a release.
func older(t *testing.T, major, minor int) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var first, second int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &first, &second); err != nil {
		t.Fatal(err)
	}
	return first < major || first == major && second < minor
}
