package deputy

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
)

// patience bounds each wait for what has to happen.
const patience = time.Minute

// The tests' own main goroutine keeps the main thread, which cannot end: a thread that was confined has to.
func init() { runtime.LockOSThread() }

// deputyFor makes a deputy that may change what is in some folders, and nothing else. It is closed with the test.
func deputyFor(t testing.TB, folders ...string) *Deputy {
	t.Helper()
	abi, err := landlock.ABI()
	if err != nil {
		t.Skip(err)
	}
	rules := policy.Policy{FSWritable: folders, AllowDegraded: policy.Protections()}
	ruleset, err := landlock.Build(&rules, abi)
	if err != nil {
		t.Fatal(err)
	}
	defer ruleset.Close()
	fd, err := duplicate(ruleset.Fd())
	if err != nil {
		t.Fatal(err)
	}
	d := New(fd)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// inside runs something on a thread of the deputy's.
func inside(t testing.TB, d *Deputy, do func() Result) Result {
	t.Helper()
	result, err := d.run(func(*thread) Result { return do() })
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatalf("nothing after %v", patience)
		panic("unreachable")
	}
}

func TestThreadsAreConfined(t *testing.T) {
	granted, other := t.TempDir(), t.TempDir()
	d := deputyFor(t, granted)
	make := func(folder string) func() Result {
		return func() Result { return returned(unix.Mkdir(folder+"/made", 0o700)) }
	}
	if got := inside(t, d, make(other)); got.Errno != unix.EACCES {
		t.Errorf("elsewhere: %v", got.Errno)
	}
	if got := inside(t, d, make(granted)); got.Errno != 0 {
		t.Errorf("in the folder: %v", got.Errno)
	}
	if err := os.Mkdir(other+"/made", 0o700); err != nil {
		t.Errorf("the host itself is confined: %v", err)
	}
}

func TestPanicIsAnErrno(t *testing.T) {
	d := deputyFor(t, t.TempDir())
	for range 2 {
		if got := inside(t, d, func() Result { panic("a mistake") }); got.Errno != unix.EIO || got.FD != -1 {
			t.Errorf("%+v", got)
		}
	}
}

func TestManyCallsAtOnce(t *testing.T) {
	d := deputyFor(t, t.TempDir())
	release, started, done := make(chan struct{}), make(chan struct{}), make(chan error)
	for range maxThreads {
		go func() {
			_, err := d.run(func(*thread) Result {
				started <- struct{}{}
				<-release
				return Result{FD: -1}
			})
			done <- err
		}()
		receive(t, started)
	}
	if _, err := d.run(func(*thread) Result { return Result{} }); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("one more: %v", err)
	}
	close(release)
	for range maxThreads {
		if err := receive(t, done); err != nil {
			t.Error(err)
		}
	}
	inside(t, d, func() Result { return Result{} })
}

func TestClosed(t *testing.T) {
	before := descriptors(t)
	d := deputyFor(t, t.TempDir())
	inside(t, d, func() Result { return Result{} })
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.run(func(*thread) Result { return Result{} }); !errors.Is(err, notify.ErrGone) {
		t.Errorf("after Close: %v", err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestRulesetThatIsNone(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := duplicate(int(file.Fd()))
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	d := New(fd)
	if _, err := d.run(func(*thread) Result { t.Error("run without a domain"); return Result{} }); err == nil {
		t.Error("no error")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
