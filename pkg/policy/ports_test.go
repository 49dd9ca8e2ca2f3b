package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzPorts states what holds for every text: no panic, errors that can be shown, and sets in their normal form, which
// mean the same when they are written and read again.
func FuzzPorts(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		ports, err := ParsePorts(text)
		if err != nil {
			if err.Problem == "" || err.Hint == "" || !utf8.ValidString(err.Error()) {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		if len(ports) == 0 {
			t.Fatalf("%q is no port", text)
		}
		var written []string
		for i, r := range ports {
			if r.First > r.Last || i > 0 && int(r.First) <= int(ports[i-1].Last)+1 {
				t.Errorf("%q is not in its normal form: %v", text, ports)
			}
			written = append(written, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
		again, err := ParsePorts(strings.Join(written, ","))
		if err != nil {
			t.Fatalf("%q is refused: %v", written, err)
		}
		if diff := cmp.Diff(ports, again); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
		if rest := AllPorts().Minus(ports); rest.Count()+ports.Count() != AllPorts().Count() || slices.ContainsFunc(rest, func(r PortRange) bool { return ports.Has(r.First) }) {
			t.Errorf("%v and %v are not all ports, each once", ports, rest)
		}
	})
}
