package sandbox

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/policy"
)

// The table of docs/determinism.md that says what is trapped tells the truth about the filters.
func TestDeterminismIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/determinism.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(page), "\n", " ")
	_, first, _ := strings.Cut(text, "*The first calls of each program* are")
	first, _, _ = strings.Cut(first, ":")
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		rows++
		cells := strings.Split(line, "|")
		t.Run(strings.TrimSpace(cells[1]), func(t *testing.T) {
			field, value, _ := strings.Cut(strings.Trim(cells[1], " `"), "=")
			var decoded any
			if err := json.Unmarshal([]byte(strings.ToLower(value)), &decoded); err != nil {
				decoded = strings.Trim(value, `"`)
			}
			if text, ok := decoded.(string); ok {
				decoded = strings.ToUpper(text) // a time of RFC 3339
			}
			p, err := policy.Decode(map[string]any{field: decoded})
			if err != nil {
				t.Fatal(err)
			}
			p.AllowDegraded = policy.Protections()
			want := callsIn(strings.ReplaceAll(cells[4], "the first calls of each program", first))
			if want != nil {
				want = append(want, "rt_sigaction") // of SIGCHLD, in every run with a supervisor's handlers
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, trapped(t, p)); diff != "" {
				t.Errorf("(-documented +trapped)\n%s", diff)
			}
		})
	}
	if rows < 5 {
		t.Errorf("only %d rows were found", rows)
	}
}

// callsIn are this machine's calls that a text has in backquotes, with or without arguments.
func callsIn(text string) (found []string) {
	for _, code := range regexp.MustCompile("`(\\w+)[^`]*`").FindAllStringSubmatch(text, -1) {
		if name := code[1]; slices.Contains(natives(), name) && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}
