package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func limit(n uint64) *uint64 { return &n }

func TestDecode(t *testing.T) {
	for name, test := range map[string]struct {
		in   map[string]any
		want *Policy
	}{
		"nothing": {nil, &Policy{}},
		"everything, as a JSON decoder gives it": {
			map[string]any{
				"fs_readable":          []any{"/usr", "caf\xe9"},
				"fs_writable":          []any{"."},
				"fs_denied":            []any{},
				"extra_deny_syscalls":  []any{"getppid"},
				"extra_allow_syscalls": []any{"sysv_ipc"},
				"env":                  map[string]any{"A": "1"},
				"clean_env":            true,
				"cwd":                  "work",
				"max_open_files":       float64(64),
				"cpu_cores":            []any{json.Number("1"), 0},
				"num_cpus":             2,
				"max_disk":             json.Number("7"),
				"max_cpu":              50,
				"max_memory":           "512M",
				"max_processes":        json.Number("3"),
				"no_coredump":          true,
				"allow_degraded":       []any{"NET_TCP", float64(3)},
				"disable":              []any{json.Number("4"), int64(5)},
			},
			&Policy{
				FSReadable:         []string{"/usr", "caf\xe9"},
				FSWritable:         []string{"."},
				FSDenied:           []string{},
				ExtraDenySyscalls:  []string{"getppid"},
				ExtraAllowSyscalls: []string{"sysv_ipc"},
				Env:                map[string]string{"A": "1"},
				CleanEnv:           true,
				Cwd:                "work",
				MaxOpenFiles:       limit(64),
				CPUCores:           []int{1, 0},
				NumCPUs:            limit(2),
				MaxDisk:            limit(7),
				MaxCPU:             limit(50),
				MaxMemory:          limit(512 << 20),
				MaxProcesses:       limit(3),
				NoCoredump:         true,
				AllowDegraded:      []Protection{NetTCP, FSIoctlDev},
				Disable:            []Protection{SignalScope, AbstractUnixSocketScope},
			},
		},
		"typed Go values": {
			map[string]any{"fs_readable": []string{"/a"}, "env": map[string]string{"B": ""}, "max_open_files": 7},
			&Policy{FSReadable: []string{"/a"}, Env: map[string]string{"B": ""}, MaxOpenFiles: limit(7)},
		},
		"unset": {map[string]any{"env": nil, "cwd": nil, "max_open_files": nil, "cpu_cores": nil, "num_cpus": nil}, &Policy{}},
		"a large number, exactly": {
			map[string]any{"max_open_files": json.Number("9007199254740993")}, &Policy{MaxOpenFiles: limit(9007199254740993)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Decode (-want +got):\n%s", diff)
			}
		})
	}
}

// allFields are the fields as an error lists them, one a line.
var allFields = fmt.Sprint([]string{
	"allow_degraded",
	"clean_env",
	"cpu_cores",
	"cwd",
	"deterministic_dirs",
	"disable",
	"env",
	"extra_allow_syscalls",
	"extra_deny_syscalls",
	"fs_denied",
	"fs_readable",
	"fs_writable",
	"gid",
	"max_cpu",
	"max_disk",
	"max_memory",
	"max_open_files",
	"max_processes",
	"net_allow",
	"net_allow_bind",
	"net_deny",
	"net_deny_bind",
	"no_coredump",
	"no_huge_pages",
	"no_randomize_memory",
	"num_cpus",
	"random_seed",
	"time_start",
	"uid",
	"umask",
})

func TestDecodeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		in   map[string]any
		want string
	}{
		"misspelt field":       {map[string]any{"fs_readible": []any{}}, "fs_readible is not a field of a policy; did you mean fs_readable?"},
		"other case and dash":  {map[string]any{"Clean-Env": true}, `"Clean-Env" is not a field of a policy; did you mean clean_env?`},
		"unknown field":        {map[string]any{"zzz": 1}, "zzz is not a field of a policy; the fields are " + allFields},
		"field without a name": {map[string]any{"": 1}, `"" is not a field of a policy; the fields are ` + allFields},
		"bare string":          {map[string]any{"fs_readable": "/usr"}, `fs_readable: "/usr" is a string where a list of strings is expected; write ["/usr"]`},
		"null for a list":      {map[string]any{"fs_denied": nil}, "fs_denied is nothing where a list of strings is expected; write a list of strings"},
		"number in a list":     {map[string]any{"fs_writable": []any{"/a", 3.5}}, "fs_writable: 3.5 is a number where a string is expected (entry 2 of the list); every entry of the list is a string"},
		"list for a map":       {map[string]any{"env": []any{"A=1"}}, `env: ["A=1"] is a list where a table of strings is expected; write a table of strings`},
		"number in env":        {map[string]any{"env": map[string]any{"N": 1.0}}, `env: "N" has a number as its value where a string is expected; every value of the table is a string; put quotes around it`},
		"string for a bool":    {map[string]any{"clean_env": "yes"}, `clean_env: "yes" is a string where true or false is expected; write true or false`},
		"list for cwd":         {map[string]any{"cwd": []any{"/"}}, `cwd: ["/"] is a list where a string is expected; write a string`},
		"fraction":             {map[string]any{"max_open_files": 1.5}, "max_open_files: 1.5 is a number where a whole number is expected; write a whole number"},
		"inexact float":        {map[string]any{"max_open_files": 1e300}, "max_open_files: 1e+300 is a number where a whole number is expected; write a whole number"},
		"truth as a number":    {map[string]any{"max_open_files": true}, "max_open_files: true is a truth value where a whole number is expected; write a whole number"},
		"negative":             {map[string]any{"max_open_files": json.Number("-1")}, "max_open_files: -1 is negative; write a positive number, or leave the field out"},
		"number for a list":    {map[string]any{"cpu_cores": 1}, "cpu_cores: 1 is a number where a list of whole numbers is expected; write a list of whole numbers"},
		"string in a list":     {map[string]any{"cpu_cores": []any{0, "1"}}, `cpu_cores: "1" is a string where a whole number is expected (entry 2 of the list); every entry of the list is a whole number`},
		"protection's case":    {map[string]any{"disable": []any{"net_tcp"}}, `disable: "net_tcp" is not the name or number of a protection; did you mean NET_TCP?`},
		"protection's number":  {map[string]any{"disable": []any{6}}, `disable: "6" is not the name or number of a protection; ` + protectionHint},
		"protection's type":    {map[string]any{"disable": []any{nil}}, "disable is nothing where a protection's name or number is expected (entry 1 of the list); every entry of the list is a protection's name or number"},
		"protection alone":     {map[string]any{"allow_degraded": "NET_TCP"}, `allow_degraded: "NET_TCP" is a string where a list of protections is expected; write a list of protections`},
		"the first by name":    {map[string]any{"fs_denied": 1, "clean_env": 1}, "clean_env: 1 is a number where true or false is expected; write true or false"},
		"a long value":         {map[string]any{"fs_denied": strings.Repeat("x", 1000)}, `fs_denied: "` + strings.Repeat("x", 200) + `..." (1000 bytes) is a string where a list of strings is expected; write ["` + strings.Repeat("x", 200) + `..." (1000 bytes)]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(test.in)
			if got != nil {
				t.Errorf("Decode = %+v, want nothing", got)
			}
			var problem *Error
			if !errors.As(err, &problem) {
				t.Fatalf("Decode: error %v is no *Error", err)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzDecode states what holds for every input: no panic, errors that can be shown and sent on, and a normal form that
// stays as it is when it is normalized again.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte, numbers bool) {
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		if numbers {
			decoder.UseNumber()
		}
		var m map[string]any
		if decoder.Decode(&m) != nil {
			t.Skip("not a JSON object")
		}
		p, err := Decode(m)
		if err == nil {
			p, err = p.Normalized()
		}
		if err != nil {
			var problem *Error
			if !errors.As(err, &problem) || problem.Field == "" && problem.Problem == "" {
				t.Fatalf("error %#v is no complete *Error", err)
			}
			if !utf8.ValidString(err.Error()) {
				t.Errorf("error %q is not UTF-8", err.Error())
			}
			if encoded, err := json.Marshal(problem); err != nil || !json.Valid(encoded) {
				t.Errorf("error as JSON: %s, %v", encoded, err)
			}
			return
		}
		again, err := p.Normalized()
		if err != nil {
			t.Fatalf("a normalized policy is refused: %v", err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Errorf("normalizing again changes (-once +twice):\n%s", diff)
		}
	})
}
