package network

import (
	"net/netip"

	"sandlock/pkg/policy"
)

// A Judge decides about peers and ports. The zero value allows nothing.
type Judge struct {
	allow, deny []policy.NetRule // about addresses, without names
	bind        policy.Ports
}

// NewJudge makes the judge of a policy's rules. hosts are the addresses of the names in them, IPv4 ones never in their
// IPv6 form; a name that is missing has none.
func NewJudge(rules *policy.Network, hosts map[string][]netip.Addr) *Judge {
	j := &Judge{deny: rules.Deny, bind: rules.Bind}
	for _, rule := range allowing(rules) {
		if rule.Host == "" {
			j.allow = append(j.allow, rule)
			continue
		}
		for _, address := range hosts[rule.Host] {
			pinned := rule
			pinned.Host, pinned.Prefix = "", netip.PrefixFrom(address, address.BitLen())
			j.allow = append(j.allow, pinned)
		}
	}
	return j
}

// MayReach reports whether a peer may be reached by a protocol. The address is the one that the kernel will use, an
// IPv4 one not in its IPv6 form. ICMP knows no ports, and looks at none.
func (j *Judge) MayReach(protocol policy.Protocols, peer netip.AddrPort) bool {
	return matches(j.allow, protocol, peer) && !matches(j.deny, protocol, peer)
}

func matches(rules []policy.NetRule, protocol policy.Protocols, peer netip.AddrPort) bool {
	address := peer.Addr().WithZone("")
	for _, rule := range rules {
		if rule.Protocols&protocol != 0 && (rule.AnyAddress() || rule.Prefix.Contains(address)) &&
			(protocol == policy.ICMP || rule.Ports.Has(peer.Port())) {
			return true
		}
	}
	return false
}

// MayBind reports whether a port may be bound. A UDP socket gets one from the kernel when it sends, so that asking for
// that, by the port 0, is always granted; what a ping socket binds is no port, and the kernel's choice alone.
func (j *Judge) MayBind(protocol policy.Protocols, port uint16) bool {
	switch protocol {
	case policy.TCP:
		return j.bind.Has(port)
	case policy.UDP:
		return port == 0 || j.bind.Has(port)
	}
	return protocol == policy.ICMP && port == 0
}
