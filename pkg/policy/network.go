package policy

import "net/netip"

// Protocols is a set of protocols.
type Protocols uint8

const (
	TCP  Protocols = 1 << iota // stream sockets over IP
	UDP                        // datagram sockets over IP
	ICMP                       // ping sockets, see icmp(7); never raw ones
	Unix                       // sockets with a path, see unix(7); no NetRule is about them
)

// NetRule is one entry of net_allow or net_deny: peers by protocol, address and port.
type NetRule struct {
	Protocols Protocols
	Host      string       // a name, to be resolved; empty for addresses
	Prefix    netip.Prefix // addresses, IPv4 ones never in their IPv6 form; the zero Prefix with an empty Host is any
	Ports     Ports        // all for ICMP, which has none
}

// AnyAddress reports whether the rule is about ports alone.
func (r NetRule) AnyAddress() bool { return r.Host == "" && !r.Prefix.IsValid() }

// Network is the rules of a policy about the network, read. The zero value allows nothing.
type Network struct {
	// Allow and Deny are about peers by address. Deny wins. With Deny alone, and no UnixAllow either, what it does not
	// name is allowed.
	Allow, Deny []NetRule
	// UnixAllow and UnixDeny are paths: of Unix sockets, and of folders with all that are beneath. UnixDeny wins.
	UnixAllow, UnixDeny []string
	// Bind are the ports that may be bound.
	Bind Ports
}

// Network reads the rules about the network. A policy that was checked gives no error.
func (p *Policy) Network() (*Network, error) {
	n, err := p.network()
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (p *Policy) network() (*Network, *Error) {
	n := &Network{}
	var err *Error
	if n.Allow, n.UnixAllow, err = ruleList("net_allow", p.NetAllow, false); err != nil {
		return nil, err
	}
	if n.Deny, n.UnixDeny, err = ruleList("net_deny", p.NetDeny, true); err != nil {
		return nil, err
	}
	allowed, err := bindPorts("net_allow_bind", p.NetAllowBind)
	if err != nil {
		return nil, err
	}
	denied, err := bindPorts("net_deny_bind", p.NetDenyBind)
	if err != nil {
		return nil, err
	}
	if len(p.NetAllowBind) == 0 && len(p.NetDenyBind) > 0 {
		allowed = AllPorts()
	}
	n.Bind = allowed.Minus(denied)
	return n, nil
}

// PortList reads a list as net_allow_bind is one. field is what an error names.
func PortList(field string, list []string) (Ports, error) {
	ports, err := bindPorts(field, list)
	if err != nil {
		return nil, err
	}
	return ports, nil
}

func bindPorts(field string, list []string) (Ports, *Error) {
	var all Ports
	for _, text := range list {
		ports, err := ParsePorts(text)
		if err == nil && text == "*" && len(list) > 1 {
			err = &Error{Value: text, Problem: "stands beside other ports", Hint: `write ["*"] alone for any port`}
		}
		if err != nil {
			err.Field = field
			return nil, err
		}
		all = all.Union(ports)
	}
	return all, nil
}
