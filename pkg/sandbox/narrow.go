package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"sandlock/pkg/network"
)

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

// lineage is the process of a task, and that process's parent, from its status file (proc(5)).
func lineage(task int) (process, parent int, err error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(task) + "/status")
	if err != nil {
		return 0, 0, fmt.Errorf("find the process of task %d: %w", task, err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "Tgid":
			process, err = strconv.Atoi(strings.TrimSpace(value))
		case "PPid":
			parent, err = strconv.Atoi(strings.TrimSpace(value))
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read the status of task %d: %w", task, err)
		}
	}
	return process, parent, nil
}
