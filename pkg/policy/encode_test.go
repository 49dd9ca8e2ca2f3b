package policy

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEncode(t *testing.T) {
	fields := map[string]any{
		"fs_readable": []any{"/usr", "a 'b' \"c\" \n"}, "fs_writable": []any{}, "clean_env": true, "no_coredump": false,
		"cwd": "", "env": map[string]any{"B": "2", "A": "1", "a b": ""}, "max_open_files": json.Number("64"),
		"net_allow_bind": []any{json.Number("80"), "90-99"}, "num_cpus": nil,
		"fs_denied": []any{"/a/rather/long/path/of/the/host", "/another/rather/long/path/of/the/host", "/and/still/another/one"},
	}
	want := `[program]
exec = 'make'
args = ['-j', 'all']
clean_env = true

[program.env]
A = '1'
B = '2'
'a b' = ''

[filesystem]
read = ['/usr', "a 'b' \"c\" \n"]
deny = [
  '/a/rather/long/path/of/the/host',
  '/another/rather/long/path/of/the/host',
  '/and/still/another/one'
]

[network]
allow_bind = [80, '90-99']

[limits]
open_files = 64
`
	got, err := Encode(fields, []string{"make", "-j", "all"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if got, err := Encode(nil, nil); got != "" || err != nil {
		t.Errorf("Encode(nil) = %q, %v", got, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, value := range []any{json.Number("18446744073709551615"), []any{"/caf\xe9"}, "\xff", map[string]any{"\xfe": ""}, map[string]any{"A": "\xfe"}} {
		got, err := Encode(map[string]any{"env": value}, nil)
		if err == nil {
			t.Errorf("Encode(%q) = %q", value, got)
		}
	}
}

// FuzzProfile states what holds for every text: no panic, errors that name the file and can be shown, and fields that
// are the same again when they are written as a profile and read.
func FuzzProfile(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		variables := map[string]string{"HOME": "/home/me"}
		first, err := parseLayer("file", text, variables)
		if err != nil {
			checkProfileError(t, err)
			return
		}
		profile := &Profile{Files: []string{"file"}, Fields: first.values}
		if err := errors.Join(profile.takeCommand(first.places), profile.validate(first.places)); err != nil {
			checkProfileError(t, err)
			return
		}
		encoded, err := Encode(profile.Fields, profile.Command)
		if err != nil {
			t.Fatalf("%v cannot be written: %v", profile.Fields, err)
		}
		second, err := parseLayer("file", []byte(encoded), variables)
		if err != nil {
			t.Fatalf("%q is refused: %v", encoded, err)
		}
		again := &Profile{Files: profile.Files, Fields: second.values}
		if err := again.takeCommand(second.places); err != nil {
			t.Fatal(err)
		}
		said := func(p *Profile) *Profile {
			for field, value := range p.Fields {
				if saysNothing(value) {
					delete(p.Fields, field)
				}
			}
			return p
		}
		if diff := cmp.Diff(said(profile), said(again)); diff != "" {
			t.Errorf("read again (-first +second):\n%s\n%s", diff, encoded)
		}
	})
}
