package seccomp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/seccomp"
)

// The tests of this file run the test binary again as a child that puts a filter
// in force and reports what the kernel answers.

// probeEnv names the probe that the child is to run.
const probeEnv = "SECCOMP_TEST_PROBE"

// probe is a filter and the calls that are made under it, which report the
// errors they met by name.
type probe struct {
	spec  seccomp.Spec
	calls func(report map[string]string)
}

var probes = map[string]probe{
	"default":  {spec: seccomp.Spec{Arch: seccomp.Native()}, calls: defaultCalls},
	"deny":     {spec: nonceSpec(0), calls: launcherCalls},
	"nonce":    {spec: nonceSpec(nonce), calls: launcherCalls},
	"sysv_ipc": {spec: seccomp.Spec{Arch: seccomp.Native(), ExtraAllow: []string{"sysv_ipc"}}, calls: sharedMemory},
}

func TestMain(m *testing.M) {
	name := os.Getenv(probeEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread()
	report := make(map[string]string)
	p := probes[name]
	f, err := seccomp.Compile(p.spec)
	if err == nil {
		err = install(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p.calls(report)
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		os.Exit(1)
	}
}

// install puts a filter in force for all threads of the process.
func install(f *seccomp.Filter) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	program := unix.SockFprog{Len: uint16(len(f.Program)), Filter: &f.Program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// observe runs a probe in a child and returns its report, and how it ended.
func observe(t *testing.T, name string, credential *syscall.Credential, env ...string) (map[string]string, syscall.WaitStatus) {
	t.Helper()
	// Another user may not be able to get to the binary by its path.
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), append(env, probeEnv+"="+name)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var report map[string]string
	if len(out) > 0 {
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
	}
	return report, cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// eachUser runs a test as the current user and, where that is root, as nobody.
func eachUser(t *testing.T, test func(*testing.T, *syscall.Credential)) {
	t.Run(fmt.Sprintf("uid %d", os.Getuid()), func(t *testing.T) { test(t, nil) })
	if os.Getuid() == 0 {
		t.Run("uid 65534", func(t *testing.T) {
			test(t, &syscall.Credential{Uid: 65534, Gid: 65534})
		})
	}
}

func TestKernelAnswers(t *testing.T) {
	eachUser(t, func(t *testing.T, credential *syscall.Credential) {
		for name, want := range map[string]map[string]string{
			"default": {
				"getppid": "ok", "number 1000": "ENOSYS", "clone3": "ENOSYS",
				"unshare": "EPERM", "clone with a namespace": "EPERM", "shmget": "EPERM",
				"io_uring_setup": "EPERM", "TIOCSTI": "EPERM", "TIOCSTI, high half set": "EPERM", "TIOCINQ": "ok",
				"own limits": "ok", "limits of the parent": "EPERM", "reading limits of itself by pid": "ok",
				"inet socket": "EACCES", "netlink socket": "EACCES", "unix datagram socket": "EACCES",
				"unix stream socket": "ok", "connect": "EACCES", "bind": "EACCES",
				"unix stream pair": "ok", "unix datagram pair": "EACCES",
			},
			"deny":     {"dup3": "EPERM", "dup3 with nonce": "EPERM", "close_range": "EPERM", "close_range with nonce": "EPERM", "getppid": "ENOSYS"},
			"nonce":    {"dup3": "EPERM", "dup3 with nonce": "ok", "close_range": "EPERM", "close_range with nonce": "ok", "getppid": "ENOSYS"},
			"sysv_ipc": {"shmctl of no segment": "EINVAL"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				report, status := observe(t, name, credential)
				if status != 0 {
					t.Errorf("the child ended with %#x", status)
				}
				if diff := cmp.Diff(want, report); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	})
}

func answer(err error) string {
	if errno, ok := err.(unix.Errno); ok && errno != 0 {
		return unix.ErrnoName(errno)
	}
	return "ok"
}

func raw(nr uintptr, args ...uintptr) string {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	return answer(errno)
}

func defaultCalls(report map[string]string) {
	report["getppid"] = raw(unix.SYS_GETPPID)
	report["number 1000"] = raw(1000)
	report["clone3"] = raw(unix.SYS_CLONE3)
	report["unshare"] = answer(unix.Unshare(unix.CLONE_FS))
	report["clone with a namespace"] = raw(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD))
	report["shmget"] = raw(unix.SYS_SHMGET)
	report["io_uring_setup"] = raw(unix.SYS_IO_URING_SETUP)

	report["TIOCSTI"] = raw(unix.SYS_IOCTL, 1, unix.TIOCSTI)
	report["TIOCSTI, high half set"] = raw(unix.SYS_IOCTL, 1, 1<<32|unix.TIOCSTI)
	_, err := unix.IoctlGetInt(1, unix.TIOCINQ)
	report["TIOCINQ"] = answer(err)

	var limit unix.Rlimit
	report["reading limits of itself by pid"] = answer(unix.Prlimit(os.Getpid(), unix.RLIMIT_CORE, nil, &limit))
	report["own limits"] = answer(unix.Prlimit(0, unix.RLIMIT_CORE, &limit, nil))
	report["limits of the parent"] = answer(unix.Prlimit(os.Getppid(), unix.RLIMIT_CORE, &limit, nil))

	socket := func(family, kind int) string {
		fd, err := unix.Socket(family, kind, 0)
		if err == nil {
			unix.Close(fd)
		}
		return answer(err)
	}
	report["inet socket"] = socket(unix.AF_INET, unix.SOCK_STREAM)
	report["netlink socket"] = socket(unix.AF_NETLINK, unix.SOCK_RAW)
	report["unix datagram socket"] = socket(unix.AF_UNIX, unix.SOCK_DGRAM)
	report["unix stream socket"] = socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC)
	address := &unix.SockaddrUnix{Name: "@no such name"}
	report["connect"] = answer(unix.Connect(0, address))
	report["bind"] = answer(unix.Bind(0, address))
	_, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	report["unix stream pair"] = answer(err)
	_, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	report["unix datagram pair"] = answer(err)
}

// nonceSpec denies two of the launcher's calls, and notifies one call: without a
// listener the kernel answers it with ENOSYS.
func nonceSpec(nonce uint64) seccomp.Spec {
	return seccomp.Spec{
		Arch: seccomp.Native(), LaunchNonce: nonce,
		ExtraDeny: []string{"dup3", "close_range"},
		Notify:    []int{unix.SYS_GETPPID},
	}
}

func launcherCalls(report map[string]string) {
	const fd = 1000
	report["dup3"] = raw(unix.SYS_DUP3, 1, fd, unix.O_CLOEXEC)
	report["dup3 with nonce"] = raw(unix.SYS_DUP3, 1, nonceHigh|fd, nonceLow|unix.O_CLOEXEC)
	report["close_range"] = raw(unix.SYS_CLOSE_RANGE, fd, fd, 0)
	report["close_range with nonce"] = raw(unix.SYS_CLOSE_RANGE, fd, nonceHigh|fd, nonceLow)
	report["getppid"] = raw(unix.SYS_GETPPID)
}

func sharedMemory(report map[string]string) {
	const noSegment = 1<<31 - 1
	report["shmctl of no segment"] = raw(unix.SYS_SHMCTL, noSegment, unix.IPC_STAT)
}
