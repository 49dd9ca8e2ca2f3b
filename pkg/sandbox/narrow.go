package sandbox

import "sandlock/pkg/network"

// Narrowing restricts the network of the command while it runs; nil unless the Sandbox has Narrow.
func (p *Process) Narrowing() *network.Narrowing { return p.narrowing }

// RestrictMemory and RestrictProcesses lower max_memory and max_processes while the command runs; for a Sandbox with
// Narrow.
func (p *Process) RestrictMemory(bytes uint64) {
	if !p.group.Keeps("max_memory") {
		p.watch.RestrictMemory(bytes)
		return
	}
	if p.group.RestrictMemory(bytes) != nil { // as a rule because the tree has ended
		_ = p.Kill()
	}
}

func (p *Process) RestrictProcesses(most uint64) { p.forks.Restrict(most) }
