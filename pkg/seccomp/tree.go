package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// span is a range of syscall numbers with one verdict, up to the next span.
type span struct {
	first   uint32
	verdict Verdict
}

// target is what makes code differ: verdicts that differ in their reason only
// share it.
type target struct {
	action Action
	check  *check
}

func (s span) target() target { return target{s.verdict.Action, s.verdict.check} }

// assemble makes the program for spans in ascending order, the first of which
// begins at 0.
func assemble(arch Arch, spans []span) ([]unix.SockFilter, error) {
	var a assembler
	spans = merge(spans)
	number := a.load(offNr, a.tree(spans, a.targets(spans)))
	foreign := a.ret(KillProcess)
	native := a.branch(bpf.JumpEqual, uint32(arch), number, foreign)
	a.load(offArch, native)
	return a.program()
}

// merge joins neighbours that lead to the same code.
func merge(spans []span) []span {
	merged := spans[:1:1]
	for _, s := range spans[1:] {
		if s.target() != merged[len(merged)-1].target() {
			merged = append(merged, s)
		}
	}
	return merged
}

// targets adds the code behind the tree: every return and every argument check
// once.
func (a *assembler) targets(spans []span) map[target]label {
	labels := make(map[target]label)
	returns := func(action Action) label {
		t := target{action: action}
		if _, ok := labels[t]; !ok {
			labels[t] = a.ret(action)
		}
		return labels[t]
	}
	for _, s := range spans {
		returns(s.verdict.Action)
		if s.verdict.check != nil {
			returns(s.verdict.check.then)
		}
	}
	for _, s := range spans {
		t := s.target()
		if _, ok := labels[t]; !ok {
			labels[t] = t.check.emit(a, returns(t.check.then), returns(t.action))
		}
	}
	return labels
}

// tree adds a balanced decision tree over spans of A.
func (a *assembler) tree(spans []span, targets map[target]label) label {
	if len(spans) == 1 {
		return targets[spans[0].target()]
	}
	middle := len(spans) / 2
	above := a.tree(spans[middle:], targets)
	below := a.tree(spans[:middle], targets)
	return a.branch(bpf.JumpGreaterOrEqual, spans[middle].first, above, below)
}
