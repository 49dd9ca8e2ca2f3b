package policy

import (
	"maps"
	"slices"
	"strings"
)

// Validate reports the first thing that is wrong with the policy as an *Error, and nil when there is none. It looks
// at the policy alone: whether a path exists or a system call is known is found out by those who use it.
func (p *Policy) Validate() error {
	for _, check := range []func() *Error{
		func() *Error { return checkPaths("fs_readable", p.FSReadable) },
		func() *Error { return checkPaths("fs_writable", p.FSWritable) },
		func() *Error { return checkPaths("fs_denied", p.FSDenied) },
		func() *Error { return checkNames("extra_deny_syscalls", p.ExtraDenySyscalls) },
		func() *Error { return checkNames("extra_allow_syscalls", p.ExtraAllowSyscalls) },
		func() *Error { _, err := p.network(); return err },
		func() *Error { return checkEnv(p.Env) },
		func() *Error { return checkIdentity(p.UID, p.GID) },
		func() *Error { return checkUmask(p.Umask) },
		func() *Error { return checkTimeStart(p.TimeStart) },
		func() *Error { return checkNUL("cwd", p.Cwd) },
		func() *Error { return checkMaxOpenFiles(p.MaxOpenFiles) },
		func() *Error { return checkMaxMemory(p.MaxMemory) },
		func() *Error { return checkMaxProcesses(p.MaxProcesses) },
		func() *Error { return checkCPUCores(p.CPUCores) },
		func() *Error { return checkNumCPUs(p.NumCPUs) },
		func() *Error { return checkProtections("allow_degraded", p.AllowDegraded) },
		func() *Error { return checkProtections("disable", p.Disable) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func checkPaths(field string, paths []string) *Error {
	for _, path := range paths {
		if path == "" {
			return &Error{Field: field, Value: path, Problem: "is an empty path", Hint: `write "." for the working directory`}
		}
		if err := checkNUL(field, path); err != nil {
			return err
		}
	}
	return nil
}

func checkNames(field string, names []string) *Error {
	for _, name := range names {
		if name == "" {
			return &Error{Field: field, Value: name, Problem: "is an empty name", Hint: "take it out of the list"}
		}
		if err := checkNUL(field, name); err != nil {
			return err
		}
	}
	return nil
}

// checkEnv names the variable only, never its value, which may be a secret.
func checkEnv(env map[string]string) *Error {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		switch {
		case name == "":
			return &Error{Field: "env", Value: name, Problem: "is an empty variable name", Hint: "give the variable a name"}
		case strings.Contains(name, "="):
			return &Error{Field: "env", Value: name, Problem: `has "=" in the variable's name`,
				Hint: "the name ends at the first =, so none may be part of it"}
		case strings.Contains(env[name], "\x00"):
			return &Error{Field: "env", Value: name, Problem: "has a value that contains a NUL byte",
				Hint: "the kernel ends every string at a NUL byte: take it out"}
		}
		if err := checkNUL("env", name); err != nil {
			return err
		}
	}
	return nil
}

func checkNUL(field, text string) *Error {
	if !strings.Contains(text, "\x00") {
		return nil
	}
	return &Error{Field: field, Value: text, Problem: "contains a NUL byte",
		Hint: "the kernel ends every string at a NUL byte: take it out"}
}

func checkProtections(field string, list []Protection) *Error {
	for _, protection := range list {
		if _, known := protectionNames[protection]; !known {
			return &Error{Field: field, Value: int(protection), Problem: "is not the number of a protection", Hint: protectionHint}
		}
	}
	return nil
}
