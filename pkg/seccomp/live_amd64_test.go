package seccomp_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/seccomp"
)

func init() {
	native := seccomp.Spec{Arch: seccomp.Native()}
	probes["x32"] = probe{native, func(report map[string]string) {
		report["x32 getppid"] = raw(1<<30 | unix.SYS_GETPPID)
	}}
	probes["int 0x80"] = probe{native, func(report map[string]string) {
		program := os.Getenv(programEnv)
		report["execve"] = answer(unix.Exec(program, []string{program}, nil))
	}}
}

// programEnv is the program that the probe for int 0x80 executes.
const programEnv = "SECCOMP_TEST_PROGRAM"

func TestX32IsKilled(t *testing.T) {
	eachUser(t, func(t *testing.T, credential *syscall.Credential) {
		report, status := observe(t, "x32", credential)
		if !status.Signaled() || status.Signal() != unix.SIGSYS {
			t.Errorf("ended with %#x and %v, not by SIGSYS", status, report)
		}
	})
}

// The 32-bit entry has numbers of its own: its 1 is exit, for a filter that does
// not look at the architecture it is write.
func TestInt80IsKilled(t *testing.T) {
	const exitCode = 42
	code := []byte{
		0xb8, 1, 0, 0, 0, // mov eax, 1
		0xbb, exitCode, 0, 0, 0, // mov ebx, 42
		0xcd, 0x80, // int 0x80
	}
	program := filepath.Join(t.TempDir(), "int80")
	if err := os.WriteFile(program, executable(t, code), 0o755); err != nil {
		t.Fatal(err)
	}
	bare := exec.Command(program)
	if err := bare.Run(); bare.ProcessState == nil || bare.ProcessState.ExitCode() != exitCode {
		t.Skipf("this kernel has no 32-bit entry: %v", err)
	}
	report, status := observe(t, "int 0x80", nil, programEnv+"="+program)
	if !status.Signaled() || status.Signal() != unix.SIGSYS {
		t.Errorf("ended with %#x and %v, not by SIGSYS", status, report)
	}
}

// executable wraps machine code in the smallest ELF file that executes it.
func executable(t *testing.T, code []byte) []byte {
	t.Helper()
	const base, headers = 0x400000, 64 + 56
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	size := uint64(headers + len(code))
	var b bytes.Buffer
	for _, part := range []any{
		elf.Header64{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
			Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1,
		},
		elf.Prog64{
			Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
			Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
		},
		code,
	} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}
