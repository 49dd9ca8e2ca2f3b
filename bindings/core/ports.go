package core

import (
	"encoding/json"
	"slices"

	"sandlock/pkg/policy"
)

// Ports reads a JSON list of ports and ranges as text, and gives the numbers as a JSON list, in ascending order.
func Ports(list string) (numbers string, err error) {
	defer recovered(&err)
	var texts []text
	if err := json.Unmarshal([]byte(list), &texts); err != nil {
		return "", encode(err)
	}
	ports, err := policy.PortList("ports", stringsOf(texts))
	if err != nil {
		return "", encode(err)
	}
	all := append([]uint16{}, slices.Collect(ports.All)...)
	encoded, err := json.Marshal(all)
	return string(encoded), encode(err)
}
