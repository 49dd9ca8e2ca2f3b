package seccomp

import (
	"fmt"
	"math"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The offsets of struct seccomp_data.
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// argLow and argHigh are the offsets of the halves of an argument; both
// architectures are little-endian.
func argLow(i uint32) uint32  { return offArgs + 8*i }
func argHigh(i uint32) uint32 { return offArgs + 8*i + 4 }

// assembler builds a program from its last instruction to its first. As classic
// BPF jumps forward only, every target exists when the jump to it is added.
type assembler struct {
	reversed []bpf.Instruction
}

// label is an instruction, by its place from the end of the program; the last
// one is 1.
type label int

func (a *assembler) add(i bpf.Instruction) label {
	a.reversed = append(a.reversed, i)
	return label(len(a.reversed))
}

// skip is how many instructions one that is added now must skip to get to l.
func (a *assembler) skip(l label) uint32 {
	return uint32(len(a.reversed) - int(l))
}

// branch tests A and continues at yes or no. What is out of a conditional jump's
// reach is got to by an unconditional one.
func (a *assembler) branch(test bpf.JumpTest, value uint32, yes, no label) label {
	for {
		skipYes, skipNo := a.skip(yes), a.skip(no)
		switch {
		case skipYes > math.MaxUint8:
			yes = a.jump(yes)
		case skipNo > math.MaxUint8:
			no = a.jump(no)
		default:
			return a.add(bpf.JumpIf{Cond: test, Val: value, SkipTrue: uint8(skipYes), SkipFalse: uint8(skipNo)})
		}
	}
}

func (a *assembler) jump(to label) label {
	return a.add(bpf.Jump{Skip: a.skip(to)})
}

// follow makes next the instruction that one added now is followed by.
func (a *assembler) follow(next label) {
	if a.skip(next) > 0 {
		a.jump(next)
	}
}

// load sets A to the 32 bits at an offset of struct seccomp_data.
func (a *assembler) load(offset uint32, next label) label {
	a.follow(next)
	return a.add(bpf.LoadAbsolute{Off: offset, Size: 4})
}

func (a *assembler) mask(bits uint32, next label) label {
	a.follow(next)
	return a.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: bits})
}

func (a *assembler) ret(action Action) label {
	return a.add(bpf.RetConstant{Val: uint32(action)})
}

// program returns the finished program.
func (a *assembler) program() ([]unix.SockFilter, error) {
	slices.Reverse(a.reversed)
	raw, err := bpf.Assemble(a.reversed)
	if err != nil {
		return nil, fmt.Errorf("assembling the filter: %w", err)
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return program, nil
}
