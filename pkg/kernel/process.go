package kernel

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
	"sandlock/pkg/policy"
)

func pidfd() (bool, string) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false, err.Error()
	}
	unix.Close(fd)
	return true, ""
}

func pidfdGetfd() (bool, string) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false, err.Error()
	}
	defer unix.Close(fd)
	copied, err := unix.PidfdGetfd(fd, fd, 0)
	if err != nil {
		return false, err.Error()
	}
	unix.Close(copied)
	return true, ""
}

// pidfdThread asks for a descriptor that tells of the end of a thread, and so of an execve of another one.
func pidfdThread() (bool, string) {
	fd, err := unix.PidfdOpen(os.Getpid(), unix.PIDFD_THREAD)
	if err != nil {
		return false, err.Error()
	}
	unix.Close(fd)
	return true, ""
}

// treeKill says whether kill(-1) reaches a tree and nobody else: from inside of Landlock's signal scope.
func treeKill(abi int) func() (bool, string) {
	return func() (bool, string) { return abi >= landlock.Requires(policy.SignalScope).ABI, "" }
}

// ptraceScope is where Yama keeps who may read the memory of whom; see Documentation/admin-guide/LSM/Yama.rst.
const ptraceScope = "/proc/sys/kernel/yama/ptrace_scope"

// childMemory asks whether process_vm_readv(2) is let through, and whether Yama lets a parent use it on descendants.
func childMemory() (bool, string) {
	var from, to byte
	local := []unix.Iovec{{Base: &to, Len: 1}}
	remote := []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&from)), Len: 1}}
	if _, err := unix.ProcessVMReadv(os.Getpid(), local, remote, 0); err != nil {
		return false, "process_vm_readv: " + err.Error()
	}
	text, err := os.ReadFile(ptraceScope)
	if err != nil {
		return true, "" // no Yama
	}
	scope := strings.TrimSpace(string(text))
	return yamaAllows(scope), "yama.ptrace_scope is " + scope
}

// yamaAllows knows that 1 is "descendants only", which the command is. 2 asks for CAP_SYS_PTRACE, 3 is "nobody".
func yamaAllows(scope string) bool {
	switch scope {
	case "0", "1":
		return true
	case "2":
		return hasCapability(unix.CAP_SYS_PTRACE)
	}
	return false
}

func hasCapability(number int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var own [2]unix.CapUserData // 64 bits in two halves
	return unix.Capget(&header, &own[0]) == nil && own[number/32].Effective>>(number%32)&1 != 0
}

// userNamespaces makes one in which the user is mapped, for a program that does not exist: no process is left behind,
// and that the program is missing is found out last.
func userNamespaces() (bool, string) {
	_, err := syscall.ForkExec("", nil, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}})
	if !errors.Is(err, unix.ENOENT) {
		return false, err.Error()
	}
	return true, ""
}
