package policy

import (
	"maps"
	"slices"
)

// A profileKey is a key of a profile, and the policy's field that it stands for.
type profileKey struct {
	section, key string
	field        string // empty for a key that this version does not know what to do with
}

// The keys that name the command are no fields of a policy.
const (
	execField = "exec"
	argsField = "args"
)

// timeField is the field that takes a date and time of TOML.
const timeField = "time_start"

// extendsKey is the one key outside of the sections.
const extendsKey = "extends"

// profileKeys is the schema, in the order in which profiles are shown. A key works as soon as Decode has its field.
var profileKeys = []profileKey{
	{"program", "exec", execField},
	{"program", "args", argsField},
	{"program", "cwd", "cwd"},
	{"program", "uid", "uid"},
	{"program", "gid", "gid"},
	{"program", "umask", "umask"},
	{"program", "clean_env", "clean_env"},
	{"program", "no_coredump", "no_coredump"},
	{"program", "no_huge_pages", "no_huge_pages"},
	{"program", "env", "env"}, // the last one, because it is shown as a section of its own

	{"filesystem", "read", "fs_readable"},
	{"filesystem", "write", "fs_writable"},
	{"filesystem", "deny", "fs_denied"},
	{"filesystem", "chroot", ""},
	{"filesystem", "mount", ""},
	{"filesystem", "on_exit", ""},
	{"filesystem", "on_error", ""},

	{"network", "allow", "net_allow"},
	{"network", "deny", "net_deny"},
	{"network", "allow_bind", "net_allow_bind"},
	{"network", "deny_bind", "net_deny_bind"},
	{"network", "port_remap", ""},

	{"syscalls", "extra_allow", "extra_allow_syscalls"},
	{"syscalls", "extra_deny", "extra_deny_syscalls"},

	{"limits", "memory", "max_memory"},
	{"limits", "processes", "max_processes"},
	{"limits", "open_files", "max_open_files"},
	{"limits", "cpu", "max_cpu"},
	{"limits", "disk", "max_disk"},
	{"limits", "cpu_cores", "cpu_cores"},
	{"limits", "num_cpus", "num_cpus"},
	{"limits", "gpu_devices", ""},

	{"determinism", "random_seed", "random_seed"},
	{"determinism", "time_start", timeField},
	{"determinism", "deterministic_dirs", "deterministic_dirs"},
	{"determinism", "no_randomize_memory", "no_randomize_memory"},

	{"protections", "allow_degraded", "allow_degraded"},
	{"protections", "disable", "disable"},

	{"config", "workdir", ""},
	{"config", "fs_storage", ""},
	{"config", "http_ca", ""},
	{"config", "http_key", ""},
	{"config", "http_inject_ca", ""},
	{"config", "http_ca_out", ""},

	{"http", "ports", ""},
	{"http", "allow", ""},
	{"http", "deny", ""},
}

// pathFields are the fields in which every ${NAME} must be known.
var pathFields = []string{"fs_readable", "fs_writable", "fs_denied", "cwd", execField}

// ruleFields are those whose entries have a path behind unix://.
var ruleFields = []string{"net_allow", "net_deny"}

// sections are the names of the schema's sections, with the key outside of them.
func sections() []string {
	names := map[string]bool{extendsKey: true}
	for _, k := range profileKeys {
		names[k.section] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func keysOf(section string) []string {
	var keys []string
	for _, k := range profileKeys {
		if k.section == section {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// fieldOf finds the field that a key stands for. The error has no Field.
func fieldOf(section, key string) (string, *Error) {
	i := slices.IndexFunc(profileKeys, func(k profileKey) bool { return k.section == section && k.key == key })
	if i < 0 {
		return "", unknownKey(section, key)
	}
	field := profileKeys[i].field
	switch _, known := fields[field]; {
	case field == execField, field == argsField, known:
		return field, nil
	}
	return "", &Error{Problem: "is for a later version of sandlock", Hint: "take it out"}
}

// unknownKey is the error for a key that the section does not have.
func unknownKey(section, key string) *Error {
	return &Error{Problem: "is no key of this section", Hint: hintFor(key, keysOf(section), "the keys are ")}
}

func unknownSection(name string) *Error {
	return &Error{Problem: "is no section of a profile", Hint: hintFor(name, sections(), "the sections are ")}
}

// hintFor says where a name that is not one of those that are known may belong.
func hintFor(name string, known []string, otherwise string) string {
	i := slices.IndexFunc(profileKeys, func(k profileKey) bool { return k.field == name && name != "" })
	if i >= 0 && profileKeys[i].key != name {
		return "its name here is [" + profileKeys[i].section + "] " + profileKeys[i].key
	}
	if near, ok := Nearest(name, known); ok {
		return "did you mean " + near + "?"
	}
	if i = slices.IndexFunc(profileKeys, func(k profileKey) bool { return k.key == name }); i >= 0 {
		return "it belongs to [" + profileKeys[i].section + "]"
	}
	return otherwise + listed(known)
}
