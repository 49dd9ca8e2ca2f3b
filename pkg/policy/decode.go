package policy

import (
	"fmt"
	"maps"
	"slices"
)

// fields says how each field of a policy is read from a generic value. A decoder leaves Error.Field to its caller.
var fields = map[string]func(*Policy, any) *Error{
	"fs_readable":          func(p *Policy, v any) *Error { return stringList(&p.FSReadable, v) },
	"fs_writable":          func(p *Policy, v any) *Error { return stringList(&p.FSWritable, v) },
	"fs_denied":            func(p *Policy, v any) *Error { return stringList(&p.FSDenied, v) },
	"extra_deny_syscalls":  func(p *Policy, v any) *Error { return stringList(&p.ExtraDenySyscalls, v) },
	"extra_allow_syscalls": func(p *Policy, v any) *Error { return stringList(&p.ExtraAllowSyscalls, v) },
	"net_allow":            func(p *Policy, v any) *Error { return stringList(&p.NetAllow, v) },
	"net_deny":             func(p *Policy, v any) *Error { return stringList(&p.NetDeny, v) },
	"net_allow_bind":       func(p *Policy, v any) *Error { return portList(&p.NetAllowBind, v) },
	"net_deny_bind":        func(p *Policy, v any) *Error { return portList(&p.NetDenyBind, v) },
	"env":                  func(p *Policy, v any) *Error { return stringMap(&p.Env, v) },
	"clean_env":            func(p *Policy, v any) *Error { return boolean(&p.CleanEnv, v) },
	"uid":                  func(p *Policy, v any) *Error { return optionalID(&p.UID, v) },
	"gid":                  func(p *Policy, v any) *Error { return optionalID(&p.GID, v) },
	"umask":                func(p *Policy, v any) *Error { return optionalMode(&p.Umask, v) },
	"cwd":                  func(p *Policy, v any) *Error { return optionalString(&p.Cwd, v) },
	"max_open_files":       func(p *Policy, v any) *Error { return optionalCount(&p.MaxOpenFiles, v) },
	"max_memory":           func(p *Policy, v any) *Error { return optionalSize(&p.MaxMemory, v) },
	"max_cpu":              func(p *Policy, v any) *Error { return optionalCount(&p.MaxCPU, v) },
	"max_disk":             func(p *Policy, v any) *Error { return optionalSize(&p.MaxDisk, v) },
	"max_processes":        func(p *Policy, v any) *Error { return optionalCount(&p.MaxProcesses, v) },
	"cpu_cores":            func(p *Policy, v any) *Error { return optionalNumbers(&p.CPUCores, v) },
	"num_cpus":             func(p *Policy, v any) *Error { return optionalCount(&p.NumCPUs, v) },
	"no_coredump":          func(p *Policy, v any) *Error { return boolean(&p.NoCoredump, v) },
	"random_seed":          func(p *Policy, v any) *Error { return optionalSeed(&p.RandomSeed, v) },
	"deterministic_dirs":   func(p *Policy, v any) *Error { return boolean(&p.DeterministicDirs, v) },
	"time_start":           func(p *Policy, v any) *Error { return timeOfDay(&p.TimeStart, v) },
	"no_randomize_memory":  func(p *Policy, v any) *Error { return boolean(&p.NoRandomizeMemory, v) },
	"no_huge_pages":        func(p *Policy, v any) *Error { return boolean(&p.NoHugePages, v) },
	"allow_degraded":       func(p *Policy, v any) *Error { return protectionList(&p.AllowDegraded, v) },
	"disable":              func(p *Policy, v any) *Error { return protectionList(&p.Disable, v) },
}

// Decode reads a policy from a generic map, as JSON or TOML gives it. It is strict: a field that no policy has, and a
// value of another type than the field's, is an *Error. Nothing is converted, except that a number may come in any of
// the types that a decoder uses for one, as long as it is a whole number. A nil stands for "unset" where unset means
// anything: env, and the fields that are one optional value.
//
// Decode does not judge the values; Normalized does.
func Decode(m map[string]any) (*Policy, error) {
	p := &Policy{}
	for _, name := range slices.Sorted(maps.Keys(m)) { // sorted: of two mistakes the same one is always reported
		decode, ok := fields[name]
		if !ok {
			return nil, unknownField(name)
		}
		if err := decode(p, m[name]); err != nil {
			err.Field = name
			return nil, err
		}
	}
	return p, nil
}

func unknownField(name string) *Error {
	names := slices.Sorted(maps.Keys(fields))
	hint := fmt.Sprintf("the fields are %v", names)
	if known, ok := Nearest(name, names); ok {
		hint = "did you mean " + known + "?"
	}
	return &Error{Field: name, Problem: "is not a field of a policy", Hint: hint}
}
