package sandbox

import (
	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
)

// Check reports what this host has against a policy, without starting anything: paths that do not exist, unknown names of
// system calls, protections that the kernel lacks. Names of peers are not resolved.
func Check(p *policy.Policy) error {
	rules, ruleset, err := build(p)
	if err != nil {
		return err
	}
	var trial preparation
	defer trial.close()
	trial.own(ruleset)
	if err := trial.changeDir(rules); err != nil {
		return err
	}
	_, err = seccomp.Compile(seccomp.Spec{Arch: seccomp.Native(), ExtraDeny: rules.ExtraDenySyscalls, ExtraAllow: rules.ExtraAllowSyscalls})
	return err
}
