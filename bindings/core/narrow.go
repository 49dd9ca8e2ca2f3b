package core

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"sandlock/pkg/sandbox"
)

// RestrictNetwork lets the run's tree reach no other peers than these from now on: addresses and networks, with commas
// between them. process is 0 for all, or the one that it is about, with its descendants. granted adds peers to
// those that are left instead. False says that there is no such run any more.
func RestrictNetwork(handle int64, process int, granted bool, peers string) (done bool, err error) {
	defer recovered(&err)
	p := narrowed(handle)
	if p == nil {
		return false, nil
	}
	prefixes, err := parsePeers(peers)
	switch {
	case err != nil:
		return false, encode(err)
	case granted:
		p.Narrowing().Grant(prefixes)
	case process != 0:
		p.Narrowing().RestrictProcess(process, prefixes)
	default:
		p.Narrowing().Restrict(prefixes)
	}
	return true, nil
}

// Expect lets the pending call of a task go on with no other socket address than this one, in hexadecimal digits.
func Expect(handle int64, id uint64, task int, address string) (done bool, err error) {
	defer recovered(&err)
	p := narrowed(handle)
	if p == nil {
		return false, nil
	}
	raw, err := hex.DecodeString(address)
	if err != nil {
		return false, encode(fmt.Errorf("expect an address: %w", err))
	}
	p.Narrowing().Expect(task, id, string(raw))
	return true, nil
}

// RestrictMemory and RestrictProcesses lower the run's limits, in bytes and processes.
func RestrictMemory(handle int64, bytes int64) (done bool, err error) {
	defer recovered(&err)
	p := narrowed(handle)
	if p == nil {
		return false, nil
	}
	p.RestrictMemory(uint64(bytes))
	return true, nil
}

func RestrictProcesses(handle int64, most int64) (done bool, err error) {
	defer recovered(&err)
	p := narrowed(handle)
	if p == nil {
		return false, nil
	}
	p.RestrictProcesses(uint64(most))
	return true, nil
}

// narrowed is the process of a run that may be narrowed, or nil when it is over.
func narrowed(handle int64) *sandbox.Process {
	r, ok := find(handle)
	if !ok || r.process() == nil || r.process().Narrowing() == nil {
		return nil
	}
	return r.process()
}

func parsePeers(text string) ([]netip.Prefix, error) {
	var peers []netip.Prefix
	for _, part := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' }) {
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, fmt.Errorf("restrict the network: %w", err)
		}
		peers = append(peers, prefix)
	}
	return peers, nil
}
