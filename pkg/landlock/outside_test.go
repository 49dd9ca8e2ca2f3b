package landlock

import (
	"fmt"
	"net"
	"os/exec"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

func TestTCP(t *testing.T) {
	needABI(t, 4)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := &unix.SockaddrInet4{Port: listener.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	socket := func(use func(fd int) error) func() error {
		return func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return use(fd)
		}
	}
	do := attempts{
		"connect": socket(func(fd int) error { return unix.Connect(fd, address) }),
		"bind":    socket(func(fd int) error { return unix.Bind(fd, &unix.SockaddrInet4{Addr: address.Addr}) }),
	}
	refused := map[string]string{"connect": "EACCES", "bind": "EACCES"}
	allowed := map[string]string{"connect": "ok", "bind": "ok"}
	expect(t, refused, confined(t, &policy.Policy{AllowDegraded: all()}, newest(t), do))
	expect(t, allowed, confined(t, &policy.Policy{AllowDegraded: all(), Disable: []policy.Protection{policy.NetTCP}}, newest(t), do))
	expect(t, allowed, confined(t, &policy.Policy{AllowDegraded: all()}, 3, do))
}

func TestAbstractUnixSocket(t *testing.T) {
	needABI(t, 6)
	name := fmt.Sprintf("@sandlock-test-%d", unix.Getpid())
	listener, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	do := attempts{"connect": func() error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Connect(fd, &unix.SockaddrUnix{Name: name})
	}}
	expect(t, map[string]string{"connect": "EPERM"}, confined(t, &policy.Policy{AllowDegraded: all()}, newest(t), do))
	expect(t, map[string]string{"connect": "ok"},
		confined(t, &policy.Policy{AllowDegraded: all(), Disable: []policy.Protection{policy.AbstractUnixSocketScope}}, newest(t), do))
	expect(t, map[string]string{"connect": "ok"}, confined(t, &policy.Policy{AllowDegraded: all()}, 5, do))
}

// outsider starts a process outside of every sandbox, of the same user, which ends with the test.
func outsider(t *testing.T) int {
	t.Helper()
	command := exec.Command("sleep", "600")
	if err := command.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	return command.Process.Pid
}

func TestSignal(t *testing.T) {
	needABI(t, 6)
	pid := outsider(t)
	do := attempts{"signal": func() error { return unix.Kill(pid, 0) }}
	expect(t, map[string]string{"signal": "EPERM"}, confined(t, &policy.Policy{AllowDegraded: all()}, newest(t), do))
	expect(t, map[string]string{"signal": "ok"},
		confined(t, &policy.Policy{AllowDegraded: all(), Disable: []policy.Protection{policy.SignalScope}}, newest(t), do))
	expect(t, map[string]string{"signal": "ok"}, confined(t, &policy.Policy{AllowDegraded: all()}, 5, do))
}

// Landlock's own guard of processes outside needs no right and no ABI but the first.
func TestMemoryOfOthers(t *testing.T) {
	newest(t)
	pid := outsider(t)
	readMemory := func() error {
		var word [8]byte
		local := []unix.Iovec{{Base: &word[0], Len: 8}}
		remote := []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&word[0])), Len: 8}}
		_, err := unix.ProcessVMReadv(pid, local, remote, 0)
		return err
	}
	if got := outcome(readMemory()); got == "EPERM" {
		t.Skip("this host forbids it to everyone")
	}
	root := fmt.Sprintf("/proc/%d/root", pid)
	p := &policy.Policy{FSReadable: []string{"/"}, AllowDegraded: all()}
	do := attempts{"memory": readMemory, "trace": func() error { return unix.PtraceAttach(pid) }, "root": listed(root)}
	want := map[string]string{"memory": "EPERM", "trace": "EPERM", "root": "EACCES"}
	if unix.Geteuid() != 0 { // for CAP_PERFMON the kernel makes an exception, Landlock or not
		do["environ"], want["environ"] = read(fmt.Sprintf("/proc/%d/environ", pid)), "EACCES"
	}
	expect(t, want, confined(t, p, 1, do))
}
