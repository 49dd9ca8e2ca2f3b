package policy

import (
	"encoding/json"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestErrorJSON(t *testing.T) {
	for name, test := range map[string]struct {
		err  *Error
		want string
	}{
		"with a value": {
			&Error{Field: "fs_readable", Value: "/caf\xe9", Problem: "does not exist", Hint: "create it"},
			`{"field":"fs_readable","value":"\"/caf\\xe9\"","problem":"does not exist","hint":"create it","message":"fs_readable: \"/caf\\xe9\" does not exist; create it"}`,
		},
		"without": {
			&Error{Field: "\xff", Problem: "is not a field"},
			`{"field":"\"\\xff\"","value":null,"problem":"is not a field","hint":"","message":"\"\\xff\" is not a field"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(test.err)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorShowsAnyValue(t *testing.T) {
	for want, value := range map[string]any{
		`f: {"a":[1,null]} p`:              map[string]any{"a": []any{1, nil}},
		`f: a Go value of type func() p`:   func() {},
		`f: "\n\x00\xff" p`:                "\n\x00\xff",
		`f: 18446744073709551615 p`:        ^uint64(0),
		`f: a Go value of type chan int p`: make(chan int),
	} {
		if got := (&Error{Field: "f", Value: value, Problem: "p"}).Error(); got != want {
			t.Errorf("Error() = %s, want %s", got, want)
		}
	}
}

func TestErrorUnwrapsToItsCause(t *testing.T) {
	var err error = &Error{Field: "cwd", Problem: "does not exist", Cause: syscall.ENOENT}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("errors.Is(%v, fs.ErrNotExist) = false", err)
	}
}
