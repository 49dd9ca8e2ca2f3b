package core

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"sandlock/pkg/sandbox"
	"sandlock/pkg/supervise"
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

// Whatever is in a slot, the answer is one that Python may give, or the strictest.
func FuzzAnswer(f *testing.F) {
	for kind := range uint32(answerHold + 2) {
		f.Add(kind, uint32(unix.EPERM), int64(-1))
	}
	f.Add(^uint32(0), ^uint32(0), int64(-1<<63))
	f.Fuzz(func(t *testing.T, kind, operand uint32, value int64) {
		w := &worker{slot: make([]byte, slotSize)}
		native.PutUint32(w.slot[offsetAnswer:], kind)
		native.PutUint32(w.slot[offsetAnswer+4:], operand)
		native.PutUint64(w.slot[offsetAnswer+8:], uint64(value))
		got := w.action()
		want, err := answer{kind, operand, value}.action()
		if kind > answerHold {
			if err == nil {
				t.Errorf("kind %d is an answer", kind)
			}
			want = supervise.Kill(unix.SIGKILL, 0)
		} else if err != nil {
			t.Errorf("kind %d: %v", kind, err)
		}
		if got != want || got.IsContinue() != (kind == answerContinue) {
			t.Errorf("%d %d %d: %+v, want %+v", kind, operand, value, got, want)
		}
		var decoded answer
		if err := json.Unmarshal([]byte(fmt.Sprintf("[%d,%d,%d]", kind, operand, value)), &decoded); err != nil || decoded != (answer{kind, operand, value}) {
			t.Errorf("as JSON %+v, %v", decoded, err)
		}
	})
}
