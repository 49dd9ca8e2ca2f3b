package core

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// profileFile writes a profile, and returns the request for it and its path.
func profileFile(t *testing.T, text string) (request, path string) {
	t.Helper()
	folder := t.TempDir()
	path = filepath.Join(folder, "mine.toml")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return asJSON(t, map[string]any{"name": "mine", "folder": characters(folder), "built_in": "",
		"variables": map[string]string{"HOME": characters("/caf\xe9")}}), path
}

func TestLoadProfile(t *testing.T) {
	request, path := profileFile(t, "[program]\nexec = 'ü'\n[filesystem]\nread = ['${HOME}']\n[limits]\nopen_files = 64\n")
	answer, err := LoadProfile(request)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"files": []any{characters(path)}, "command": []any{characters("ü")},
		"fields": map[string]any{"fs_readable": []any{characters("/caf\xe9")}, "max_open_files": 64.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("LoadProfile (-want +got):\n%s", diff)
	}
	names, err := ProfileNames(request)
	if names != `["mine"]` || err != nil {
		t.Errorf("ProfileNames = %s, %v", names, err)
	}
}

func TestWrongProfileIsAPolicyFault(t *testing.T) {
	request, path := profileFile(t, "x = 1")
	_, err := LoadProfile(request)
	if f := asFault(t, err); f.Kind != "policy" || !strings.HasPrefix(f.Message, path+":1: x: ") {
		t.Errorf("%+v", f)
	}
}

func TestWriteProfile(t *testing.T) {
	text, err := WriteProfile(asJSON(t, map[string]any{"policy": map[string]any{"fs_readable": []string{characters("/ü")}, "max_open_files": 64},
		"command": []string{"make"}}))
	if want := "[program]\nexec = 'make'\n\n[filesystem]\nread = ['/ü']\n\n[limits]\nopen_files = 64\n"; text != want || err != nil {
		t.Errorf("WriteProfile = %q, %v", text, err)
	}
}

// Whatever comes instead of a request is an error, and no panic.
func TestRequestsAboutProfilesThatAreNone(t *testing.T) {
	for _, request := range []string{"", "null", "3", "[]", "{", `{"policy": 3}`, `{"policy": {"cwd": "\u0100"}}`, `{"name": 3}`, `{"policy": {"zzz": 1}}`, `{"variables": null}`} {
		for name, call := range map[string]func(string) error{
			"LoadProfile":  func(r string) error { _, err := LoadProfile(r); return err },
			"ProfileNames": func(r string) error { _, err := ProfileNames(r); return err },
			"WriteProfile": func(r string) error { _, err := WriteProfile(r); return err },
			"CheckPolicy":  func(r string) error { _, err := CheckPolicy(r); return err },
		} {
			if err := call(request); err != nil && strings.Contains(asFault(t, err).Message, "internal error") {
				t.Errorf("%s(%s): %v", name, request, err)
			}
		}
	}
}

func TestKernel(t *testing.T) {
	text, err := Kernel()
	if err != nil || !strings.Contains(text, `"name":"NET_TCP"`) {
		t.Errorf("Kernel = %s, %v", text, err)
	}
}
