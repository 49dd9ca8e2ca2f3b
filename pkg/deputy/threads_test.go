package deputy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
	"sandlock/pkg/proc"
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

// A wait is a call that waits for a FIFO.
type wait struct {
	fifo   string
	alive  bool
	result chan Result
}

// waitFor lets a call wait for a FIFO, which is made.
func waitFor(t *testing.T, d *Deputy, fifo string, flags uint64) *wait {
	t.Helper()
	if err := unix.Mkfifo(fifo, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		t.Fatal(err)
	}
	fd, err := openat2(unix.AT_FDCWD, fifo, unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err != nil {
		t.Fatal(err)
	}
	own, err := ownCredentials()
	if err != nil {
		t.Fatal(err)
	}
	w := &wait{fifo: fifo, alive: true, result: make(chan Result, 1)}
	d.Await(Result{FD: -1, waiting: &waiting{fifo: fd, how: unix.OpenHow{Flags: flags},
		caller: caller{credentials: own, umask: 0o022}, valid: func() bool { return w.alive }}},
		func(r Result) { w.result <- r })
	return w
}

// expect says that the wait is over, with an errno or a descriptor, which is closed.
func (w *wait) expect(t *testing.T, want unix.Errno) {
	t.Helper()
	got := receive(t, w.result)
	if got.Errno != want || (got.FD < 0) != (want != 0) {
		t.Errorf("%s: %+v, not %v", filepath.Base(w.fifo), got, want)
	}
	if got.FD >= 0 {
		unix.Close(got.FD)
	}
}

// open opens the other end without a wait, once somebody has this one.
func (w *wait) open(t *testing.T) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(100 * time.Microsecond) {
		fd, err := unix.Open(w.fifo, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
			return
		}
		if !errors.Is(err, unix.ENXIO) {
			t.Fatal(err)
		}
	}
	t.Errorf("nobody waits for %s", w.fifo)
}

func TestWaits(t *testing.T) {
	before := descriptors(t)
	folder := t.TempDir()
	d := deputyFor(t, folder)
	first, second := waitFor(t, d, folder+"/first", unix.O_RDONLY), waitFor(t, d, folder+"/second", unix.O_RDONLY)
	second.open(t)
	second.expect(t, 0)
	first.open(t)
	first.expect(t, 0)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// The end of the deputy ends the waits, also of who has taken the rights to the FIFO away.
func TestCloseEndsWaits(t *testing.T) {
	for _, mode := range []uint32{0o600, 0} {
		t.Run(fmt.Sprintf("%o", mode), func(t *testing.T) {
			before := descriptors(t)
			folder := t.TempDir()
			d := deputyFor(t, folder)
			waits := []*wait{waitFor(t, d, folder+"/a", unix.O_RDONLY), waitFor(t, d, folder+"/b", unix.O_WRONLY),
				waitFor(t, d, folder+"/a", unix.O_RDONLY)}
			for _, w := range waits {
				if err := unix.Chmod(w.fifo, mode); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			for _, w := range waits {
				if r := receive(t, w.result); r.FD >= 0 { // or EINTR, EACCES: it had not begun
					unix.Close(r.FD)
				}
				var st unix.Stat_t
				if err := unix.Stat(w.fifo, &st); err != nil || st.Mode&0o7777 != mode {
					t.Errorf("the mode is %o, %v", st.Mode&0o7777, err)
				}
			}
			if after := descriptors(t); after != before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

// Tasks that have died while they waited do not keep others from waiting; who waits for the same FIFO is not disturbed.
func TestWaitsOfTheDead(t *testing.T) {
	folder := t.TempDir()
	d := deputyFor(t, folder)
	var dead []*wait
	for i := range maxWaits - 2 {
		dead = append(dead, waitFor(t, d, fmt.Sprintf("%s/%d", folder, i), unix.O_RDONLY))
	}
	shared, same := waitFor(t, d, folder+"/shared", unix.O_RDONLY), waitFor(t, d, folder+"/shared", unix.O_RDONLY)
	waiting := func() (count int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, other := range d.threads {
			if other.wait != nil {
				count++
			}
		}
		return count
	}
	for begin := time.Now(); waiting() < maxWaits; time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > patience {
			t.Fatalf("%d wait", waiting())
		}
	}
	waitFor(t, d, folder+"/more", unix.O_RDONLY).expect(t, unix.EAGAIN)
	d.mu.Lock()
	shared.alive = false
	for _, w := range dead {
		w.alive = false
	}
	d.mu.Unlock()
	more := waitFor(t, d, folder+"/more", unix.O_RDONLY)
	for _, w := range dead {
		w.expect(t, 0)
	}
	more.open(t)
	more.expect(t, 0)
	select {
	case r := <-same.result:
		t.Errorf("a wait for the FIFO of a dead task is over: %+v", r)
	default:
	}
	same.open(t)
	same.expect(t, 0)
}

func TestOwnCredentialsAreRestored(t *testing.T) {
	d := deputyFor(t, t.TempDir())
	type state struct {
		UID, GID     int
		Groups       []uint32
		Capabilities uint64
		Dumpable     int
	}
	read := func() (s state, err error) {
		own, err := ownCredentials()
		if err != nil {
			return s, err
		}
		s.Dumpable, err = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		s.UID, s.GID, s.Groups, s.Capabilities = own.uid, own.gid, own.groups, own.capabilities
		return s, err
	}
	own, err := ownCredentials()
	if err != nil {
		t.Fatal(err)
	}
	inside(t, d, func() Result {
		before, err := read()
		if err != nil {
			t.Error(err)
		}
		for name, test := range map[string]struct {
			wanted credentials
			may    bool
		}{
			"the same":          {own, true},
			"nobody":            {credentials{uid: 65534, gid: 65534}, own.uid == 0},
			"nobody with group": {credentials{uid: 65534, gid: 65534, groups: []uint32{4112}}, own.uid == 0},
			"all capabilities":  {credentials{uid: own.uid, gid: own.gid, groups: own.groups, capabilities: 1 << 62}, false},
		} {
			if own.uid == test.wanted.uid {
				test.may = name != "all capabilities" && (name == "the same" || own.equal(test.wanted))
			}
			restore, err := assume(caller{credentials: test.wanted, umask: 0o027})
			if (err == nil) != test.may {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				now, err := ownCredentials()
				if err != nil || !now.equal(test.wanted) {
					t.Errorf("%s: assumed %+v, %v", name, now, err)
				}
				restore()
			}
			after, err := read()
			if diff := cmp.Diff(before, after); diff != "" || err != nil {
				t.Errorf("%s (-before +after)\n%s %v", name, diff, err)
			}
		}
		return Result{}
	})
}

func TestStatus(t *testing.T) {
	const whole proc.Status = "Name:\tx\nUmask:\t0027\nTgid:\t12\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nCapPrm:\t000000000000000f\n" +
		"CapEff:\t0000000000000003\n"
	groups := []uint32{9, 10}
	want := caller{process: 12, umask: 0o027, credentials: credentials{4, 8, 2, 6, groups, 3},
		real: credentials{1, 5, 2, 6, groups, 0}}
	got, err := parseStatus(whole)
	allow := cmp.AllowUnexported(caller{}, credentials{})
	if diff := cmp.Diff(want, got, allow); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	if got, err := parseStatus("Name:\tUid:\n" + whole); err != nil || got.uid != 4 {
		t.Errorf("a name that looks like a field: %+v, %v", got, err)
	}
	for name, status := range map[string]proc.Status{
		"nothing": "", "no number": "Tgid:\tx\n", "fields too few": "Tgid:\t1\nUmask:\t0\nUid:\t1\t2\nGid:\t5\t6\t7\t8\nCapEff:\t0\n",
		"a number too large": "Tgid:\t99999999999999999999999\nUmask:\t0\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapEff:\t0\n",
	} {
		if _, err := parseStatus(status); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOwnFiles(t *testing.T) {
	c := caller{task: 1<<22 + 2, process: 1<<22 + 1} // numbers that no process has
	self, thread := fmt.Sprint(os.Getpid()), fmt.Sprint(unix.Gettid())
	for name, want := range map[string]ownFile{
		"/proc/" + self:                               {folder: "4194305"},
		"/proc/" + self + "/status":                   {folder: "4194305", rest: "status"},
		"/proc/" + thread + "/status":                 {folder: "4194305", rest: "status"},
		"/proc/" + self + "/task/" + thread:           {folder: "4194305/task/4194306", thread: true},
		"/proc/" + self + "/task/" + thread + "/fd/3": {folder: "4194305/task/4194306", rest: "fd/3", thread: true},
		"/proc/4194305/fd/3":                          {folder: "4194305", rest: "fd/3"},
		"/proc/4194306/exe":                           {folder: "4194306", rest: "exe"},
		"/proc/4194305/task/4194306/cwd":              {folder: "4194305/task/4194306", rest: "cwd", thread: true},
		"/proc/4194305/task":                          {folder: "4194305", rest: "task"},
		"/proc/stat":                                  {}, "/proc": {}, "/proc/self": {}, "/procs/1": {}, "/proc/1/status": {}, "/": {}, "": {}, "/proc/4194305x/fd": {},
	} {
		got, ok := c.ownFileOf(name)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(ownFile{}, unix.OpenHow{})); diff != "" || ok != (want != ownFile{}) {
			t.Errorf("%s: %v\n%s", name, ok, diff)
		}
	}
	for rest, want := range map[string]bool{"fd/0": true, "fd/2147483647": true, "exe": true, "cwd": true, "root": true,
		"fd": false, "fd/": false, "fd/x": false, "fd/1/x": false, "fd/-1": false, "fd/2147483648": false, "ns/mnt": false, "cwd/x": false, "": false} {
		if got := (ownFile{rest: rest}).isMagic(); got != want {
			t.Errorf("%q: %v", rest, got)
		}
	}
}
