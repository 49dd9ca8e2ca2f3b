package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// store writes profiles, "name" for the user's and "built-in/name" for shipped ones, and returns where they are.
func store(t *testing.T, texts map[string]string) *Profiles {
	t.Helper()
	root := t.TempDir()
	p := &Profiles{Folder: filepath.Join(root, "own"), BuiltIn: filepath.Join(root, "built-in"),
		Variables: map[string]string{"HOME": "/home/me", "ROOT": root}}
	for _, folder := range []string{p.Folder, p.BuiltIn} {
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range texts {
		folder := p.Folder
		if below, found := strings.CutPrefix(name, "built-in/"); found {
			name, folder = below, p.BuiltIn
		}
		if err := os.WriteFile(filepath.Join(folder, name+".toml"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

const whole = `
[program]
exec = "${HOME}/bin/tool"
args = ["--config", "${HOME}/tool.conf", "${OTHER}"]
env = { A = "1", PATH = "${HOME}/bin" }
cwd = "${HOME}"
clean_env = true
no_coredump = true

[filesystem]
read = ["/usr", "${HOME}/data"]
write = ["."]
deny = ["${HOME}/data/secret"]

[network]
allow = ["*:443"]
deny = ["*:25"]
allow_bind = [8080, "9000-9010"]
deny_bind = ["9005"]

[syscalls]
extra_allow = ["sysv_ipc"]
extra_deny = ["getppid"]

[limits]
open_files = 64

[protections]
allow_degraded = ["NET_TCP", 3]
disable = []
`

func TestLoad(t *testing.T) {
	got, err := store(t, map[string]string{"tool": whole}).Load("tool")
	if err != nil {
		t.Fatal(err)
	}
	want := &Profile{
		Command: []string{"/home/me/bin/tool", "--config", "/home/me/tool.conf", "${OTHER}"},
		Fields: map[string]any{
			"env": map[string]any{"A": "1", "PATH": "/home/me/bin"}, "cwd": "/home/me", "clean_env": true, "no_coredump": true,
			"fs_readable": []any{"/usr", "/home/me/data"}, "fs_writable": []any{"."}, "fs_denied": []any{"/home/me/data/secret"},
			"net_allow": []any{"*:443"}, "net_deny": []any{"*:25"},
			"net_allow_bind": []any{int64(8080), "9000-9010"}, "net_deny_bind": []any{"9005"},
			"extra_allow_syscalls": []any{"sysv_ipc"}, "extra_deny_syscalls": []any{"getppid"},
			"max_open_files": int64(64),
			"allow_degraded": []any{"NET_TCP", int64(3)}, "disable": []any{},
		},
		Files: got.Files,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
	if len(got.Files) != 1 || filepath.Base(got.Files[0]) != "tool.toml" {
		t.Errorf("files %q", got.Files)
	}
}

func TestLayers(t *testing.T) {
	p := store(t, map[string]string{
		"built-in/base": "[filesystem]\nread = [\"/usr\", \"/nonexistent\", \"/etc\"]\n[program]\nexec = \"base\"\nargs = [\"1\"]\n" +
			"env = { A = \"base\", B = \"base\" }\ncwd = \"/\"\n[limits]\nopen_files = 10",
		"args":   "extends = \"top\"\n[program]\nargs = [\"-v\", \"-v\"]",
		"middle": "extends = \"base\"\n[filesystem]\nread = [\"/etc\", \"/opt\"]\n[limits]\nopen_files = 20\n",
		"top":    "extends = \"./middle.toml\"\nprogram = { env = { B = \"top\", C = \"top\" }, exec = \"top\" }",
		"base":   "extends = \"base\"\n[filesystem]\nwrite = [\".\"]",
	})
	got, err := p.Load("args")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"fs_readable":    []any{"/usr", "/etc", "/opt"},
		"fs_writable":    []any{"."},
		"env":            map[string]any{"A": "base", "B": "top", "C": "top"},
		"cwd":            "/",
		"max_open_files": int64(20),
	}
	if diff := cmp.Diff(want, got.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	var names []string
	for _, file := range got.Files {
		names = append(names, strings.TrimPrefix(file, filepath.Dir(p.Folder)+"/"))
	}
	if diff := cmp.Diff([]string{"built-in/base.toml", "own/base.toml", "own/middle.toml", "own/top.toml", "own/args.toml"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"top", "-v", "-v"}, got.Command); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	p := store(t, map[string]string{"built-in/b": "", "built-in/a": "", "c": "", "b": ""})
	if diff := cmp.Diff([]string{"a", "b", "c"}, p.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if names := (&Profiles{Folder: "/nonexistent"}).Names(); len(names) != 0 {
		t.Errorf("names %q", names)
	}
}

func TestWrongProfiles(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no TOML":          {"[program\n", ":1: invalid TOML: expected ']' to close table name"},
		"twice":            {"[program]\ncwd = \"/\"\ncwd = \"/\"", ":3: invalid TOML: key cwd is already defined"},
		"misspelt key":     {"[filesystem]\n# a comment\nraed = [\"/usr\"]", ":3: [filesystem] raed: is no key of this section; did you mean read?"},
		"elsewhere":        {"[filesystem]\nmemory = 3", ":2: [filesystem] memory: is no key of this section; it belongs to [limits]"},
		"no key at all":    {"[syscalls]\nzzz = 3", ":2: [syscalls] zzz: is no key of this section; the keys are extra_allow and extra_deny"},
		"misspelt one":     {"\n[filesytem]\nread = []", ":2: [filesytem]: is no section of a profile; did you mean filesystem?"},
		"no section":       {"clean_env = true", ":1: clean_env: is no section of a profile; it belongs to [program]"},
		"a field's name":   {"[limits]\nmax_open_files = 3", ":2: [limits] max_open_files: is no key of this section; its name here is [limits] open_files"},
		"a field alone":    {"fs_readable = []", ":1: fs_readable: is no section of a profile; its name here is [filesystem] read"},
		"base not there":   {"extends = \"./x.toml\"", `:1: extends: "FOLDER/x.toml" cannot be read: no such file or directory; correct the path or its permissions`},
		"nothing like it":  {"[zzzzzzzz]", ":1: [zzzzzzzz]: is no section of a profile; the sections are config, determinism, extends, filesystem, http, limits, network, program, protections and syscalls"},
		"a later key":      {"[filesystem]\nread = []\nchroot = \"/\"", ":3: [filesystem] chroot: is for a later version of sandlock; take it out"},
		"a later section":  {"[http]\nports = [80]", ":2: [http] ports: is for a later version of sandlock; take it out"},
		"no list":          {"[filesystem]\n\nread = \"/usr\"", `:3: [filesystem] read: "/usr" is a string where a list of strings is expected; write ["/usr"]`},
		"an entry":         {"[filesystem]\nread = [\"/usr\",\n3]", ":2: [filesystem] read: 3 is a number where a string is expected (entry 2 of the list); every entry of the list is a string"},
		"no number":        {"[limits]\nopen_files = \"64\"", `:2: [limits] open_files: "64" is a string where a whole number is expected; write a whole number`},
		"infinite":         {"[limits]\nopen_files = inf", ":2: [limits] open_files: +Inf is a number where a whole number is expected; write a whole number"},
		"a bad value":      {"[limits]\nopen_files = 1", ":2: [limits] open_files: 1 leaves no room for standard input, output and error; most programs need 10 or more; leave the field out to keep the host's limit"},
		"a bad rule":       {"[network]\nallow = [\n\"example.com\"]", `:2: [network] allow: "example.com" has no port; write "example.com:443", or "example.com:*" for any port`},
		"a bad variable":   {"[program.env]\n\"A=B\" = \"\"", `:1: [program] env: "A=B" has "=" in the variable's name; the name ends at the first =, so none may be part of it`},
		"a date":           {"[program]\ncwd = 2000-01-01", `:2: [program] cwd: "2000-01-01" is a date or time where a string is expected; write a string`},
		"a time":           {"[program]\ncwd = 2000-01-01T00:00:00Z", `:2: [program] cwd: "2000-01-01T00:00:00Z" is a date or time where a string is expected; write a string`},
		"without offset":   {"[determinism]\ntime_start = 2000-01-01T00:00:00", `:2: [determinism] time_start: "2000-01-01T00:00:00" is no moment; write date, time and offset, as in 2000-01-01T00:00:00Z`},
		"no table":         {"limits = 3", ":1: [limits]: 3 is a number where a section with keys is expected; write a section with keys"},
		"tables":           {"[[limits]]\nopen_files = 3", `:1: [limits]: [{"open_files":3}] is a list where a section with keys is expected; write a section with keys`},
		"nested":           {"[limits.open_files]\nsoft = 3", `:1: [limits] open_files: {"soft":3} is a table where a whole number is expected; write a whole number`},
		"inline":           {"filesystem = { read = [], wirte = [] }", ":1: [filesystem] wirte: is no key of this section; did you mean write?"},
		"dotted":           {"filesystem.read = []\nfilesystem.dney = []", ":2: [filesystem] dney: is no key of this section; did you mean deny?"},
		"the first of two": {"[limits]\nopen_file = 3\n[filesystem]\nraed = []", ":2: [limits] open_file: is no key of this section; did you mean open_files?"},
		"unknown variable": {"[filesystem]\nread = [\"${HOM}/x\"]", `:2: [filesystem] read: "${HOM}/x" has a ${ that stands for nothing; the names are HOME and ROOT`},
		"open variable":    {"[program]\ncwd = \"${HOME\"", `:2: [program] cwd: "${HOME" has a ${ that stands for nothing; the names are HOME and ROOT`},
		"an empty program": {"[program]\nexec = \"\"", ":2: [program] exec: is empty; name the program, or leave exec out"},
		"no program":       {"[program]\nargs = [\"x\"]", ":2: [program] args: is there without exec; add the program"},
		"odd keys":         {"\"\\u0000\" = 1", `:1: "\x00": is no section of a profile; the sections are config, determinism, extends, filesystem, http, limits, network, program, protections and syscalls`},
		"no base":          {"\nextends = \"nobody\"", `:2: extends: "nobody" is no profile in FOLDER, and no built-in one; there are wrong`},
		"itself":           {"extends = \"wrong\"", `:1: extends: "wrong" extends itself; take one of the two extends out`},
		"itself by path":   {"extends = \"./wrong.toml\"", `:1: extends: "FOLDER/wrong.toml" extends itself; take one of the two extends out`},
		"a list of bases":  {"extends = [\"a\"]", `:1: extends: ["a"] is a list where a string is expected; write a string`},
	} {
		t.Run(name, func(t *testing.T) {
			p := store(t, map[string]string{"wrong": test.text})
			_, err := p.Load("wrong")
			var fault *ProfileError
			if !errors.As(err, &fault) {
				t.Fatalf("Load: error %v is no *ProfileError", err)
			}
			want := filepath.Join(p.Folder, "wrong.toml") + strings.ReplaceAll(test.want, "FOLDER", p.Folder)
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoProfile(t *testing.T) {
	p := store(t, map[string]string{"python": "", "folder/../big": strings.Repeat("#\n", maxProfile)})
	if err := os.Mkdir(filepath.Join(p.Folder, "folder.toml"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"pyhton":            `profile: "pyhton" is no profile in FOLDER, and no built-in one; did you mean python?`,
		"":                  `profile: "" is no name of a profile; there are big, folder and python`,
		"a\x00":             `profile: "a\x00" is no name of a profile; there are big, folder and python`,
		"folder":            "FOLDER/folder.toml: is no file; name a TOML file",
		"big":               "FOLDER/big.toml: has 2097152 bytes, which is too long for a profile; name a TOML file",
		"/nonexistent.toml": "/nonexistent.toml: cannot be read: no such file or directory; correct the path or its permissions",
		"/dev/null":         "/dev/null: is no file; name a TOML file",
		"./\n.toml":         `"\n.toml": cannot be read: no such file or directory; correct the path or its permissions`,
	} {
		_, err := p.Load(name)
		if err == nil {
			t.Errorf("Load(%q) succeeded", name)
		} else if diff := cmp.Diff(strings.ReplaceAll(want, "FOLDER", p.Folder), err.Error()); diff != "" {
			t.Errorf("Load(%q): message (-want +got):\n%s", name, diff)
		}
	}
}

// Every field can be set by a profile, and every key has a section of its own place.
func TestSchema(t *testing.T) {
	keys := map[string]bool{}
	for _, k := range profileKeys {
		name := k.section + "." + k.key
		if keys[name] {
			t.Errorf("%s is there twice", name)
		}
		keys[name] = true
		if k.field != "" {
			keys[k.field] = true
		}
	}
	for field := range fields {
		if !keys[field] {
			t.Errorf("no key sets %s", field)
		}
	}
}

// checkProfileError checks what holds for every error about the text of a file.
func checkProfileError(t *testing.T, err error) {
	t.Helper()
	var fault *ProfileError
	if !errors.As(err, &fault) {
		t.Fatalf("error %#v is no *ProfileError", err)
	}
	if message := err.Error(); !strings.HasPrefix(message, "file:") || !utf8.ValidString(message) {
		t.Errorf("message %q", message)
	}
}
