package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
	"sandlock/pkg/policy"
)

// Ruleset makes the Landlock ruleset of a policy for a process that confines itself with landlock_restrict_self(2), and
// gives its descriptor, which is the caller's, and the protections that it does without. What of a policy is not
// Landlock's is not in it.
func Ruleset(p *policy.Policy) (fd int, degraded []policy.Protection, err error) {
	_, ruleset, err := build(p)
	if err != nil {
		return -1, nil, err
	}
	defer ruleset.Close()
	fd, err = unix.FcntlInt(uintptr(ruleset.Fd()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("keep the Landlock ruleset: %w", err)
	}
	return fd, ruleset.Degraded(), nil
}

// build normalizes a policy, and makes its Landlock ruleset for the running kernel.
func build(p *policy.Policy) (*policy.Policy, *landlock.Ruleset, error) {
	rules, err := p.Normalized()
	if err != nil {
		return nil, nil, err
	}
	abi, err := landlock.ABI()
	if err != nil {
		return nil, nil, err
	}
	ruleset, err := landlock.Build(rules, abi)
	return rules, ruleset, err
}
