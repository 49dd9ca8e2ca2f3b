package seccomp

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// String prints the filter for people: what it answers where that is not a plain
// allow, then its instructions.
func (f *Filter) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "filter for %v, %d instructions\n\n", f.Arch, len(f.Program))
	allowed := 0
	for nr, name := range f.Arch.Syscalls() {
		v := f.Verdict(nr)
		if v == (Verdict{Action: Allow}) {
			allowed++
			continue
		}
		fmt.Fprintf(&b, "%5d %-19s %v\n", nr, name, v)
	}
	fmt.Fprintf(&b, "%d other syscalls: %v\n", allowed, Allow)
	for _, s := range f.spans[len(f.Arch.names()):] {
		fmt.Fprintf(&b, "from %s: %v\n", f.operand(offNr, s.first), s.verdict)
	}
	fmt.Fprintf(&b, "another architecture: %v\n\n", KillProcess)
	f.disassemble(&b)
	return b.String()
}

// disassemble prints the instructions with their targets as absolute places.
func (f *Filter) disassemble(b *strings.Builder) {
	var loaded uint32 // the offset of what A holds: that of the last load above
	for i, ins := range f.Program {
		fmt.Fprintf(b, "%4d  ", i)
		switch ins.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			loaded = ins.K
			fmt.Fprintf(b, "A = %s\n", field(loaded))
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			fmt.Fprintf(b, "A &= %#x\n", ins.K)
		case unix.BPF_JMP | unix.BPF_JA:
			fmt.Fprintf(b, "goto %d\n", i+1+int(ins.K))
		case unix.BPF_RET | unix.BPF_K:
			fmt.Fprintf(b, "return %v\n", Action(ins.K))
		default:
			fmt.Fprintf(b, "if A %s %s goto %d else %d\n", comparison[ins.Code], f.operand(loaded, ins.K),
				i+1+int(ins.Jt), i+1+int(ins.Jf))
		}
	}
}

// comparison has the conditional jumps that the assembler is given.
var comparison = map[uint16]string{
	unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:  "==",
	unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:  ">=",
	unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K: "&",
}

// field names the 32 bits at an offset of struct seccomp_data.
func field(offset uint32) string {
	switch {
	case offset == offNr:
		return "nr"
	case offset == offArch:
		return "arch"
	case offset%8 == 0:
		return fmt.Sprintf("low half of args[%d]", (offset-offArgs)/8)
	default:
		return fmt.Sprintf("high half of args[%d]", (offset-offArgs)/8)
	}
}

// operand prints what a field is compared with.
func (f *Filter) operand(offset, value uint32) string {
	if offset == offNr && value < x32First {
		return fmt.Sprintf("%d (%s)", value, f.Arch.Name(int(value)))
	}
	return fmt.Sprintf("%#x", value)
}
