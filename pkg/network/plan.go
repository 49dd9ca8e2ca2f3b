package network

import (
	"math"

	"sandlock/pkg/policy"
)

// Access says who lets a kind of system call through.
type Access uint8

const (
	Denied     Access = iota // nobody: the filter refuses it
	Kernel                   // the kernel alone, within Landlock's rules
	Supervised               // the supervisor, which judges every one
)

// Calls says what becomes of the system calls that are about the network. The zero value is a closed network.
type Calls struct {
	Protocols policy.Protocols // whose sockets can be made
	Connect   Access           // connect
	Send      Access           // sendto with an address, sendmsg, sendmmsg
	Bind      Access           // bind
	Listen    Access           // listen, which picks a port for a socket that has none
}

// Closed reports whether no socket can be made that leads anywhere.
func (c Calls) Closed() bool { return c.Protocols == 0 }

// Supervised reports whether the supervisor has anything to do.
func (c Calls) Supervised() bool {
	return max(c.Connect, c.Send, c.Bind, c.Listen) == Supervised
}

// WithLooseSockets has the supervisor judge what is left to the kernel, for a command that gets a socket of the host's
// that may be of any kind, and lead anywhere.
func (c Calls) WithLooseSockets() Calls {
	c.Send = Supervised
	for _, access := range []*Access{&c.Connect, &c.Bind, &c.Listen} {
		if *access == Kernel {
			*access = Supervised
		}
	}
	return c
}

// A Plan says who enforces the rules of a policy.
type Plan struct {
	Calls
	// ConnectTCP and BindTCP are the TCP ports that Landlock lets through, in the kernel's answers as in the
	// supervisor's.
	ConnectTCP, BindTCP policy.Ports
}

// maxKernelPorts bounds what is left to Landlock, which takes a rule for each port: 1,000 rules take a millisecond to
// make and to enforce, all 65,536 a hundred and more.
const maxKernelPorts = 1000

// NewPlan decides who enforces what. tcp says whether Landlock has rules for TCP ports here.
func NewPlan(rules *policy.Network, tcp bool) Plan {
	p := Plan{Calls: Calls{Protocols: reachable(rules)}}
	inKernel := func(ports policy.Ports) bool { return tcp && ports.Count() <= maxKernelPorts }
	if p.Protocols&policy.TCP != 0 {
		ports, alone := portsOf(rules, policy.TCP)
		p.Connect = supervisedUnless(alone && (isAny(ports) || inKernel(ports)))
		p.ConnectTCP = landlockPorts(ports)
	}
	if datagrams := p.Protocols & (policy.UDP | policy.ICMP); datagrams != 0 {
		p.Send = Kernel
		for _, protocol := range []policy.Protocols{policy.UDP, policy.ICMP} {
			if ports, alone := portsOf(rules, protocol); datagrams&protocol != 0 && !(alone && isAny(ports)) {
				p.Send = Supervised
			}
		}
		p.Connect = max(p.Connect, p.Send)
	}
	if len(rules.Bind) > 0 {
		p.Protocols |= policy.TCP
		p.Bind = supervisedUnless(isAll(rules.Bind) || inKernel(rules.Bind))
		p.BindTCP = landlockPorts(rules.Bind)
		p.Listen = supervisedUnless(rules.Bind.Has(0))
	}
	if p.Protocols&policy.UDP != 0 && !isAll(rules.Bind) {
		p.Bind = Supervised
	}
	if p.Protocols != 0 && p.Send == Denied {
		p.Send = Kernel // of sockets that are connected
	}
	if len(rules.UnixAllow) > 0 {
		p.superviseUnix()
	}
	return p
}

// superviseUnix lets Unix sockets be made, of all kinds, so that all calls with an address are judged. A Unix socket
// listens only once it is bound, a TCP one also before.
func (p *Plan) superviseUnix() {
	p.Connect, p.Send, p.Bind = Supervised, Supervised, Supervised
	if p.Listen == Denied {
		p.Listen = supervisedUnless(p.Protocols&policy.TCP == 0)
	}
	p.Protocols |= policy.Unix
}

func supervisedUnless(kernel bool) Access {
	if kernel {
		return Kernel
	}
	return Supervised
}

// isAny reports whether every port of a peer is in the set: 0 is none.
func isAny(ports policy.Ports) bool {
	return len(ports) == 1 && ports[0].First <= 1 && ports[0].Last == math.MaxUint16
}

// isAll reports whether every port is in the set, also 0, which stands for one that the kernel picks.
func isAll(ports policy.Ports) bool { return isAny(ports) && ports.Has(0) }

// landlockPorts are the ports that Landlock shall let through; all where they are too many for it.
func landlockPorts(ports policy.Ports) policy.Ports {
	if isAny(ports) || ports.Count() > maxKernelPorts {
		return policy.AllPorts()
	}
	return ports
}

// allowing are the rules that allow something.
func allowing(rules *policy.Network) []policy.NetRule {
	if len(rules.Allow) == 0 && len(rules.UnixAllow) == 0 && len(rules.Deny) > 0 {
		return []policy.NetRule{{Protocols: policy.TCP | policy.UDP | policy.ICMP, Ports: policy.AllPorts()}}
	}
	return rules.Allow
}

// reachable are the protocols by which some peer may be reached.
func reachable(rules *policy.Network) (protocols policy.Protocols) {
	for _, rule := range allowing(rules) {
		protocols |= rule.Protocols
	}
	for _, rule := range rules.Deny {
		if rule.AnyAddress() && isAny(rule.Ports) {
			protocols &^= rule.Protocols
		}
	}
	return protocols
}

// portsOf are the ports that may be reached at some address. alone says that the address does not matter.
func portsOf(rules *policy.Network, protocol policy.Protocols) (ports policy.Ports, alone bool) {
	var free, addressed, denied, deniedAddressed policy.Ports
	add := func(rule policy.NetRule, any, some *policy.Ports) {
		if rule.Protocols&protocol == 0 {
			return
		}
		if rule.AnyAddress() {
			*any = any.Union(rule.Ports)
		} else {
			*some = some.Union(rule.Ports)
		}
	}
	for _, rule := range allowing(rules) {
		add(rule, &free, &addressed)
	}
	for _, rule := range rules.Deny {
		add(rule, &denied, &deniedAddressed)
	}
	free = free.Minus(denied)
	ports = free.Union(addressed.Minus(denied))
	alone = ports.Minus(free).Count() == 0 && free.Minus(deniedAddressed).Count() == free.Count()
	return ports, alone
}
