package core

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

// characters are bytes as a request has them: each one a character.
func characters(text string) string {
	runes := make([]rune, len(text))
	for i := range len(text) {
		runes[i] = rune(text[i])
	}
	return string(runes)
}

// asJSON is a request as Python makes it.
func asJSON(t *testing.T, fields map[string]any) string {
	t.Helper()
	encoded, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// decoded is what a request asks for.
type decoded struct {
	Command sandbox.Command
	Policy  *policy.Policy
	Timeout time.Duration
	Workers int
}

func TestRequest(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	limit := uint64(1<<53 + 1)
	for name, test := range map[string]struct {
		fields map[string]any
		want   decoded
	}{
		"nothing": {map[string]any{}, decoded{}},
		"text": {
			map[string]any{"args": []string{"echo", "hello"}, "stdout": stdioPipe, "stderr": stdioPipe},
			decoded{Command: sandbox.Command{Args: []string{"echo", "hello"}, Stdout: sandbox.Pipe(), Stderr: sandbox.Pipe()}},
		},
		"bytes in the command": {
			map[string]any{"args": []string{characters("\x80\xff\xc3\xa9")}, "input": every, "stdin": stdioPipe},
			decoded{Command: sandbox.Command{Args: []string{"\x80\xff\xc3\xa9"}, Stdin: sandbox.Pipe(), Input: every}},
		},
		"bytes in the policy": {
			map[string]any{"policy": map[string]any{
				"fs_readable": []string{characters("/\xff\xfe")}, "env": map[string]string{characters("\x80"): characters("\xff=")},
				"cwd": characters("\xe9"),
			}},
			decoded{Policy: &policy.Policy{FSReadable: []string{"/\xff\xfe"}, Env: map[string]string{"\x80": "\xff="}, Cwd: "\xe9"}},
		},
		"an integer beyond a float": {map[string]any{"policy": map[string]any{"max_open_files": limit}}, decoded{Policy: &policy.Policy{MaxOpenFiles: &limit}}},
		"a timeout":                 {map[string]any{"timeout": 0.25}, decoded{Timeout: 250 * time.Millisecond}},
		"workers":                   {map[string]any{"workers": 3}, decoded{Workers: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			if test.want.Policy == nil {
				test.want.Policy = &policy.Policy{}
			}
			fields := map[string]any{"stdin": stdioNull, "stdout": stdioNull, "stderr": stdioNull}
			maps.Copy(fields, test.fields)
			r, err := parse(asJSON(t, fields))
			if err != nil {
				t.Fatal(err)
			}
			got := decoded{r.command(), r.policy, seconds(r.Timeout), r.Workers}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(sandbox.Stdio{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestRequestThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":                      {"", "EOF"},
		"not JSON":                     {"{args", "invalid character"},
		"cut off":                      {`{"args": ["a"`, "unexpected EOF"},
		"an unknown field":             {`{"argv": []}`, `unknown field "argv"`},
		"an unknown field of a chain":  {`{"chains": [{"name": "openat"}]}`, `unknown field "name"`},
		"another object":               {`{} {}`, "more follows"},
		"a word":                       {`{} x`, "more follows"},
		"a bracket":                    {`{}]`, "more follows"},
		"a list":                       {`[]`, "cannot unmarshal array"},
		"a number for a text":          {`{"args": [1]}`, "cannot unmarshal number"},
		"a text for a number":          {`{"stdin": "1"}`, "cannot unmarshal string"},
		"a character that is no byte":  {`{"args": ["\u0100"]}`, "character U+0100 of a request is no byte"},
		"one in the command":           {`{"args": ["€"]}`, "character U+20AC of a request is no byte"},
		"an input that is not base 64": {`{"input": "😀"}`, "illegal base64 data"},
		"one in the policy":            {`{"policy": {"fs_readable": ["ā"]}}`, "character U+0101 of a request is no byte"},
		"one in a policy's field":      {`{"policy": {"ā": 1}}`, "character U+0101 of a request is no byte"},
		"one in a variable's name":     {`{"policy": {"env": {"ā": ""}}}`, "character U+0101 of a request is no byte"},
		"half a surrogate pair":        {`{"args": ["\ud800"]}`, "character U+FFFD of a request is no byte"},
		"text that is not UTF-8":       {"{\"args\": [\"\xff\"]}", "character U+FFFD of a request is no byte"},
		"an answer too short":          {`{"chains": [{"fallback": [1, 2]}]}`, "has 3 numbers, not 2"},
		"an answer too long":           {`{"chains": [{"fallback": [1, 2, 3, 4]}]}`, "has 3 numbers, not 4"},
		"no answer":                    {`{"chains": [{"fallback": null}]}`, "has 3 numbers, not 0"},
		"a kind beyond 32 bits":        {`{"chains": [{"fallback": [4294967297, 0, 0]}]}`, "kind 4294967297"},
		"an operand below 0":           {`{"chains": [{"fallback": [1, -1, 0]}]}`, "operand -1"},
		"an answer that is none":       {`{"chains": [{"syscall": "openat", "fallback": "kill"}]}`, "cannot unmarshal string"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parse(test.text)
			if err == nil {
				t.Fatalf("decoded as %+v", r)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q does not tell %q", err, test.want)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":   {"", nil},
		"variables": {"A=1ĀB=Ā", []string{"A=1", "B="}},
		"bytes":     {characters("A=\xc3\xa9") + "Ā" + characters("\xff=\x80\n\xfe=") + "Ā", []string{"A=\xc3\xa9", "\xff=\x80\n\xfe="}},
		"no end":    {"A=1ĀB=2", []string{"A=1", "B=2"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := environ(test.text)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
	if got, err := environ("A=1ĀB=€Ā"); err == nil || !strings.Contains(err.Error(), "U+20AC") {
		t.Errorf("%q, %v: no byte is U+20AC", got, err)
	}
}

func TestRequestWithAnUnknownPolicyField(t *testing.T) {
	_, err := parse(`{"policy": {"fs_readabel": []}}`)
	var fault *policy.Error
	if !errors.As(err, &fault) || fault.Field != "fs_readabel" || !strings.Contains(fault.Hint, "fs_readable") {
		t.Errorf("%v, want a *policy.Error that names the nearest field", err)
	}
}

// Python knows timeouts that Go's durations cannot hold: they must not come out in the past.
func TestTimeoutBeyondADuration(t *testing.T) {
	for _, long := range []float64{1e9, 1e10, 1e18, 1e300} {
		if got := seconds(&long); got < time.Duration(1e9)*time.Second {
			t.Errorf("%g seconds are %v", long, got)
		}
	}
}
