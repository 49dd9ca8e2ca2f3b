package landlock

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// The tests' own main goroutine keeps the main thread: a thread that was confined has to end, and that one cannot.
func init() { runtime.LockOSThread() }

// newest is the kernel's own ABI, which a test takes that is not about older ones.
func newest(t *testing.T) int {
	t.Helper()
	abi, err := ABI()
	if err != nil {
		t.Skip(err)
	}
	return abi
}

// needABI skips a test on a kernel that is too old for it.
func needABI(t *testing.T, least int) {
	t.Helper()
	if abi := newest(t); abi < least {
		t.Skipf("needs Landlock ABI %d, this kernel has %d", least, abi)
	}
}

// attempts are things to do, by what they are called. They use system calls directly and fail with an errno.
type attempts map[string]func() error

// confined builds the policy's ruleset for an ABI and returns what becomes of the attempts on a thread that it
// confines: "ok", or the name of the errno. They are made in the order of their names.
//
// Landlock confines the calling thread only. A goroutine that ends while locked to its thread ends the thread, too, so
// nothing else ever runs under the ruleset, and new threads never descend from a locked one.
func confined(t *testing.T, p *policy.Policy, abi int, do attempts) map[string]string {
	t.Helper()
	ruleset, err := Build(p, abi)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	defer ruleset.Close()
	return onConfinedThread(ruleset, do)
}

func onConfinedThread(ruleset *Ruleset, do attempts) map[string]string {
	results := make(chan map[string]string)
	go func() {
		runtime.LockOSThread()
		results <- restricted(ruleset, do)
	}()
	return <-results
}

// restricted confines the calling thread for good and makes the attempts on it.
func restricted(ruleset *Ruleset, do attempts) map[string]string {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return map[string]string{"no_new_privs": err.Error()}
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset.Fd()), 0, 0); errno != 0 {
		return map[string]string{"landlock_restrict_self": errno.Error()}
	}
	got := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(do)) {
		got[name] = outcome(do[name]())
	}
	return got
}

func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

func expect(t *testing.T, want, got map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
}

func open(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func read(path string) func() error   { return open(path, unix.O_RDONLY) }
func write(path string) func() error  { return open(path, unix.O_WRONLY) }
func create(path string) func() error { return open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL) }
func listed(path string) func() error { return open(path, unix.O_RDONLY|unix.O_DIRECTORY) }

// execute runs a program to its end.
func execute(path string) func() error {
	return func() error {
		pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		var status syscall.WaitStatus
		for {
			if _, err = syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
				break
			}
		}
		if err == nil && status.ExitStatus() != 0 {
			return errors.New("failed, perhaps to load its libraries")
		}
		return err
	}
}

// tree makes files (and the folders that they need) in a new folder and returns it by its real path.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// system is what a program needs to be loaded.
func system(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, path := range []string{"/usr", "/lib", "/lib64", "/bin"} {
		if _, err := os.Stat(path); err == nil {
			found = append(found, path)
		}
	}
	return found
}

// all opts out of every protection, so that a test of something else runs on any ABI.
func all() []policy.Protection { return policy.Protections() }

func openFDs(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
