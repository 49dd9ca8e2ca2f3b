package seccomp

import (
	"testing"

	"sandlock/pkg/network"
	"sandlock/pkg/policy"
)

// A member that is misspelt would silently not be denied, and a group with the
// name of a syscall would hide it.
func TestGroupsNameSyscalls(t *testing.T) {
	exists := func(name string) bool {
		_, amd64 := AMD64.numbers()[name]
		_, arm64 := ARM64.numbers()[name]
		return amd64 || arm64
	}
	groupOf := make(map[string]string)
	for _, g := range defaultDeny {
		if exists(g.name) {
			t.Errorf("group %s has the name of a syscall", g.name)
		}
		for _, name := range g.members {
			if !exists(name) {
				t.Errorf("%s of group %s is not a syscall", name, g.name)
			}
			if other := groupOf[name]; other != "" {
				t.Errorf("%s is in the groups %s and %s", name, other, g.name)
			}
			groupOf[name] = g.name
		}
	}
	for name := range argumentChecks {
		if !exists(name) {
			t.Errorf("%s, which has an argument check, is not a syscall", name)
		}
	}
	for name := range networkRules(network.Calls{Protocols: policy.TCP}) {
		if !exists(name) {
			t.Errorf("%s, which has a network rule, is not a syscall", name)
		}
	}
}
