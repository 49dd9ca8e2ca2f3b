package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
)

// The table of docs/network.md that says what is trapped tells the truth about the filters.
func TestTrappedCallsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/network.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## What is trapped")
	rows := 0
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "## ") {
			break
		}
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		rows++
		cells := strings.Split(strings.ReplaceAll(line, `\|`, ""), "|")
		t.Run(strings.TrimSpace(cells[1]), func(t *testing.T) {
			var want []string
			for _, code := range regexp.MustCompile("`[^`]+`").FindAllString(cells[2], -1) {
				if name := strings.Trim(code, "`"); slices.Contains(natives(), name) {
					want = append(want, name)
				}
			}
			if want != nil {
				want = append(want, "rt_sigaction") // beside all others, as the page says above the table
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, trapped(t, documentedPolicy(t, cells[1]))); diff != "" {
				t.Errorf("(-documented +trapped)\n%s", diff)
			}
		})
	}
	if rows < 10 {
		t.Errorf("only %d rows were found", rows)
	}
}

// natives are the names of this machine's calls.
func natives() []string {
	var names []string
	for _, name := range seccomp.Native().Syscalls() {
		names = append(names, name)
	}
	return names
}

// documentedPolicy reads fields as Python has them, each in backquotes.
func documentedPolicy(t *testing.T, cell string) *policy.Policy {
	t.Helper()
	fields := make(map[string]any)
	for _, code := range regexp.MustCompile("`(\\w+)=(\\[[^`]*\\])`").FindAllStringSubmatch(cell, -1) {
		var list []any
		if err := json.Unmarshal([]byte(code[2]), &list); err != nil {
			t.Fatal(err)
		}
		fields[code[1]] = list
	}
	p, err := policy.Decode(fields)
	if err != nil {
		t.Fatal(err)
	}
	p.AllowDegraded = policy.Protections()
	if p, err = p.Normalized(); err != nil {
		t.Fatal(err)
	}
	return p
}

// trapped are the calls that a policy's filter sends to the supervisor, with some arguments at least.
func trapped(t *testing.T, rules *policy.Policy) []string {
	t.Helper()
	p := preparation{process: newProcess()}
	defer p.close()
	var err error
	if p.chains, p.optional, err = chainsOf(nil); err == nil {
		err = p.confine(rules)
	}
	if err == nil {
		err = p.bound(rules)
	}
	if err == nil {
		err = p.filter(rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	var raw []bpf.RawInstruction
	for _, i := range p.spec.Filter {
		raw = append(raw, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	program, _ := bpf.Disassemble(raw)
	machine, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for number, name := range seccomp.Native().Syscalls() {
		for _, argument := range []uint64{0, uint64(unix.SIGCHLD), 1<<40 | 8} {
			action, err := machine.Run(packet(uint32(number), argument))
			if err != nil {
				t.Fatal(err)
			}
			if uint32(action) == unix.SECCOMP_RET_USER_NOTIF {
				names = append(names, name)
				break
			}
		}
	}
	if watched := p.spec.FilterFlags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0; watched != (names != nil) {
		t.Errorf("%v are trapped, and a listener is there: %t", names, watched)
	}
	slices.Sort(names)
	return names
}

// packet is struct seccomp_data for a call with equal arguments, its words as the machine loads them.
func packet(number uint32, argument uint64) []byte {
	data := binary.BigEndian.AppendUint32(nil, number)
	data = binary.BigEndian.AppendUint32(data, uint32(seccomp.Native()))
	data = binary.BigEndian.AppendUint64(data, 0)
	for range 6 {
		data = binary.BigEndian.AppendUint32(data, uint32(argument))
		data = binary.BigEndian.AppendUint32(data, uint32(argument>>32))
	}
	return data
}
