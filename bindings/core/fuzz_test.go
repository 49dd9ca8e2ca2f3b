package core

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sandlock/pkg/sandbox"
)

// Whatever comes is refused, or means the same when it is written and read once more.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"policy": {"fs_readable": ["/usr"], "env": {"A": "\u00ff"}, "max_open_files": 20}, "args": ["echo", "\u0080\u00ff"]}`,
		`{"args": ["true"], "stdin": -1, "stdout": -1, "stderr": -2, "input": "AP8=", "timeout": 1.5}`,
		`{"workers": 2, "chains": [{"syscall": "openat", "fallback": [1, 13, 0], "timeout": 0.1}, {"syscall": "41", "fallback": [3, 9, 0]}]}`,
		`{"policy": null, "args": null, "chains": null}`,
		`{"args": ["a"]} trailing`,
		`{"unknown": 1}`,
		`{"args": ["\ud83d\ude00"]}`,
		`{"input": "A"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		r, err := parse(encoded)
		if err != nil {
			if r != nil || !json.Valid([]byte(encode(err).Error())) {
				t.Errorf("request %+v, error %v", r, encode(err))
			}
			return
		}
		want := r.command()
		if _, err := r.registrations(); err != nil && len(r.Chains) == 0 {
			t.Error(err)
		}
		args := slices.Clone(want.Args)
		for i, arg := range args {
			args[i] = characters(arg)
		}
		again, err := parse(asJSON(t, map[string]any{
			"args": args, "input": want.Input,
			"stdin": r.Stdin, "stdout": r.Stdout, "stderr": r.Stderr, "timeout": r.Timeout, "workers": r.Workers,
		}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, again.command(), cmp.AllowUnexported(sandbox.Stdio{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
