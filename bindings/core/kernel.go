package core

import (
	"encoding/json"

	"sandlock/pkg/kernel"
	"sandlock/pkg/policy"
)

// Kernel tells what the running kernel offers, as JSON; see kernel.Report. It is found out once.
func Kernel() (text string, err error) {
	defer recovered(&err)
	encoded, err := json.Marshal(kernel.Detect())
	return string(encoded), encode(err)
}

// Degraded are the numbers of the protections that a run does without, as JSON.
func Degraded(handle int64) (text string, err error) {
	defer recovered(&err)
	numbers := []policy.Protection{}
	if r := lookUp(handle); r.process() != nil {
		numbers = append(numbers, r.process().Degraded()...)
	}
	encoded, err := json.Marshal(numbers)
	return string(encoded), encode(err)
}
