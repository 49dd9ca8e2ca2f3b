package sandbox_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

func TestCheck(t *testing.T) {
	for want, p := range map[string]policy.Policy{
		"": {FSReadable: []string{"/usr"}, Cwd: "/"},
		`fs_readable: "/nonexistent" does not exist; create it first, or take it out of the list`:        {FSReadable: []string{"/nonexistent"}},
		`fs_readable: "" is an empty path; write "." for the working directory`:                          {FSReadable: []string{""}},
		`cwd: "/nonexistent" does not exist; create it, or leave cwd out to run in the host's directory`: {Cwd: "/nonexistent"},
		`extra_deny_syscalls: unknown syscall "opnat"; did you mean "openat"?`:                           {ExtraDenySyscalls: []string{"opnat"}},
	} {
		p.AllowDegraded = policy.Protections()
		message := ""
		if err := sandbox.Check(&p); err != nil {
			message = err.Error()
		}
		if diff := cmp.Diff(want, message); diff != "" {
			t.Errorf("message (-want +got):\n%s", diff)
		}
	}
}
