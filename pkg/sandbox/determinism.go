package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sandlock/pkg/determinism"
	"sandlock/pkg/policy"
	"sandlock/pkg/supervise"
)

// addrNoRandomize is ADDR_NO_RANDOMIZE of personality(2).
const addrNoRandomize = 0x0040000

// determine gives the handlers of what the kernel alone cannot make the same in each run, by system call.
func (p *preparation) determine(rules *policy.Policy) map[string]supervise.Handler {
	p.process.determinism = determinism.New(rules, p.process.Deputy)
	if p.process.determinism == nil {
		return nil
	}
	return p.process.determinism.Handlers()
}

// settle decides what the kernel alone makes the same in each run.
func (p *preparation) settle(rules *policy.Policy) error {
	p.spec.NoHugePages = rules.NoHugePages
	if !rules.NoRandomizeMemory {
		return nil
	}
	const query = 0xffffffff
	own, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, query, 0, 0)
	if errno != 0 {
		return fmt.Errorf("no_randomize_memory: read the host's personality: %w", errno)
	}
	personality := uint32(own) | addrNoRandomize
	p.spec.Personality = &personality
	p.spec.Unbound = p.regained()
	return nil
}

// regained are the capabilities that execve offers a command that is root, before no_new_privs takes them back: those
// of the bounding set. The mere offer makes the kernel clear the personality (cap_bprm_creds_from_file in
// security/commoncap.c), so they have to go from there.
func (p *preparation) regained() []int {
	uid := os.Geteuid()
	if p.spec.Identity != nil {
		uid = int(p.spec.Identity.UID)
	}
	if uid != 0 {
		return nil
	}
	var regained []int
	for capability := range 64 {
		bound, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(capability), 0, 0, 0)
		if err != nil { // beyond the last one that the kernel has
			break
		}
		kept := p.spec.Capabilities[capability/32].Permitted&(1<<(capability%32)) != 0
		if !kept && (bound == 1 || p.spec.Identity != nil) { // a new namespace starts with all of them
			regained = append(regained, capability)
		}
	}
	return regained
}
