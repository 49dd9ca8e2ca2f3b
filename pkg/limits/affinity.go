package limits

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// CPUs are those that a policy leaves to its command, or nil where it leaves all of the host's. The error is a
// *policy.Error for a CPU that the host may not use.
func CPUs(rules *policy.Policy) (*unix.CPUSet, error) {
	if rules.CPUCores == nil && rules.NumCPUs == nil {
		return nil, nil
	}
	var host unix.CPUSet
	if err := unix.SchedGetaffinity(0, &host); err != nil {
		return nil, fmt.Errorf("read the host's CPUs: %w", err)
	}
	candidates := rules.CPUCores
	if candidates == nil {
		candidates = numbersOf(host)
	}
	for _, cpu := range candidates {
		if !host.IsSet(cpu) {
			return nil, &policy.Error{Field: "cpu_cores", Value: cpu, Problem: "is no CPU that the host may use",
				Hint: fmt.Sprintf("it may use %v, see sched_getaffinity(2)", numbersOf(host))}
		}
	}
	if rules.NumCPUs != nil {
		candidates = candidates[:min(uint64(len(candidates)), *rules.NumCPUs)]
	}
	var granted unix.CPUSet
	for _, cpu := range candidates {
		granted.Set(cpu)
	}
	return &granted, nil
}

func numbersOf(set unix.CPUSet) []int {
	numbers := make([]int, 0, set.Count())
	for cpu := 0; len(numbers) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			numbers = append(numbers, cpu)
		}
	}
	return numbers
}
