package policy

// The bounds of max_open_files: below the lower one not even standard input, output and error fit, and the upper one
// is beyond what a kernel can be configured to.
const (
	minOpenFiles = 3
	maxOpenFiles = 1 << 30
)

func checkMaxOpenFiles(limit *uint64) *Error {
	switch {
	case limit == nil:
		return nil
	case *limit < minOpenFiles:
		return &Error{Field: "max_open_files", Value: *limit, Problem: "leaves no room for standard input, output and error",
			Hint: "most programs need 10 or more; leave the field out to keep the host's limit"}
	case *limit > maxOpenFiles:
		return &Error{Field: "max_open_files", Value: *limit, Problem: "is more than any kernel allows",
			Hint: "leave the field out to keep the host's limit"}
	}
	return nil
}

func checkMaxMemory(limit *uint64) *Error {
	if limit != nil && *limit == 0 {
		return &Error{Field: "max_memory", Value: *limit, Problem: "leaves the command no memory",
			Hint: "most programs need 16M or more; leave the field out for no limit"}
	}
	return nil
}

func checkMaxProcesses(limit *uint64) *Error {
	if limit != nil && *limit == 0 {
		return &Error{Field: "max_processes", Value: *limit, Problem: "leaves no process for the command",
			Hint: "write 1 or more, or leave the field out"}
	}
	return nil
}

// CPUPercent is MaxCPU within its bounds, 1 and 100.
func (p *Policy) CPUPercent() (percent uint64, set bool) {
	if p.MaxCPU == nil {
		return 0, false
	}
	return max(1, min(*p.MaxCPU, 100)), true
}

// maxCPUs is how many CPUs an affinity mask of ours has room for.
const maxCPUs = 1024

func checkCPUCores(cores []int) *Error {
	if cores != nil && len(cores) == 0 {
		return &Error{Field: "cpu_cores", Value: []any{}, Problem: "names no CPU to run on",
			Hint: "leave the field out for all that the host may use"}
	}
	for _, core := range cores {
		if core < 0 || core >= maxCPUs {
			return &Error{Field: "cpu_cores", Value: core, Problem: "is not the number of a CPU",
				Hint: "they are numbered from 0 to 1023, see /sys/devices/system/cpu/online"}
		}
	}
	return nil
}

func checkNumCPUs(number *uint64) *Error {
	if number != nil && *number == 0 {
		return &Error{Field: "num_cpus", Value: *number, Problem: "leaves no CPU to run on",
			Hint: "write 1 or more, or leave the field out for all that the host may use"}
	}
	return nil
}
