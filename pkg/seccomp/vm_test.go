package seccomp_test

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"sandlock/pkg/seccomp"
)

// call is struct seccomp_data without the instruction pointer.
type call struct {
	nr   uint32
	arch seccomp.Arch
	args [6]uint64
}

// bytes lays a call out for x/net's machine: at the kernel's offsets, each word
// big-endian, as the machine loads from packets.
func (c call) bytes() []byte {
	data := binary.BigEndian.AppendUint32(nil, c.nr)
	data = binary.BigEndian.AppendUint32(data, uint32(c.arch))
	data = binary.BigEndian.AppendUint64(data, 0)
	for _, arg := range c.args {
		data = binary.BigEndian.AppendUint32(data, uint32(arg))
		data = binary.BigEndian.AppendUint32(data, uint32(arg>>32))
	}
	return data
}

// machine interprets a filter.
type machine struct{ vm *bpf.VM }

func newMachine(t testing.TB, f *seccomp.Filter) machine {
	t.Helper()
	var raw []bpf.RawInstruction
	for _, i := range f.Program {
		raw = append(raw, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	program, known := bpf.Disassemble(raw)
	if !known {
		t.Fatalf("unknown instructions in\n%v", f)
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatalf("%v in\n%v", err, f)
	}
	return machine{vm}
}

func (m machine) run(t testing.TB, c call) seccomp.Action {
	t.Helper()
	value, err := m.vm.Run(c.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return seccomp.Action(value)
}

// constAllow follows the kernel's seccomp_is_const_allow (kernel/seccomp.c): it
// says whether the bitmap may answer for this number and architecture. steps is
// how many instructions that took.
func constAllow(f *seccomp.Filter, nr uint32) (allow bool, steps int) {
	var reg uint32
	for pc := 0; pc < len(f.Program); pc++ {
		steps++
		i := f.Program[pc]
		var test bool
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			switch i.K {
			case 0:
				reg = nr
			case 4:
				reg = uint32(f.Arch)
			default:
				return false, steps
			}
			continue
		case unix.BPF_RET | unix.BPF_K:
			return i.K == unix.SECCOMP_RET_ALLOW, steps
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(i.K)
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			reg &= i.K
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			test = reg == i.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			test = reg >= i.K
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			test = reg > i.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			test = reg&i.K != 0
		default:
			return false, steps
		}
		if test {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	return false, steps
}

func compile(t testing.TB, s seccomp.Spec) *seccomp.Filter {
	t.Helper()
	f, err := seccomp.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func number(t testing.TB, a seccomp.Arch, name string) int {
	t.Helper()
	nr, err := a.Number(name)
	if err != nil {
		t.Fatal(err)
	}
	return nr
}
