package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

var schemes = map[string]Protocols{"tcp": TCP, "udp": UDP, "icmp": ICMP}

const netRuleHint = `write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`

// parseNetRule reads an entry of net_allow, or of net_deny, where names are refused and ports may be left out. The
// error has no Field.
func parseNetRule(text string, deny bool) (NetRule, *Error) {
	if err := checkNetText(text); err != nil {
		return NetRule{}, err
	}
	rule := NetRule{Protocols: TCP | UDP}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	} else if rule.Protocols = schemes[scheme]; rule.Protocols == 0 {
		return NetRule{}, unknownScheme(text, scheme)
	}
	host, ports, hasPorts, err := splitHost(text, rest)
	if err != nil {
		return NetRule{}, err
	}
	switch {
	case host == "" && !hasPorts:
		return NetRule{}, &Error{Value: text, Problem: "has no host", Hint: netRuleHint}
	case scheme == "icmp" && hasPorts:
		return NetRule{}, &Error{Value: text, Problem: "has a port, and ICMP knows none", Hint: "write " + quote("icmp://"+host)}
	case scheme == "icmp" || deny && !hasPorts:
		rule.Ports = AllPorts()
		if scheme == "" {
			rule.Protocols |= ICMP
		}
	case !hasPorts:
		return NetRule{}, &Error{Value: text, Problem: "has no port", Hint: "write " + quote(text+":443") + ", or " + quote(text+":*") + " for any port"}
	default:
		if rule.Ports, err = ParsePorts(ports); err != nil {
			err.Value = text
			return NetRule{}, err
		}
		if ports != "*" && rule.Ports.Has(0) {
			return NetRule{}, &Error{Value: text, Problem: "has the port 0, which no peer has", Hint: `begin with 1, or write "*" for any port`}
		}
	}
	if host == "*" || host == "" && hasPorts {
		return rule, nil
	}
	rule.Host, rule.Prefix, err = parseHost(text, host, deny)
	return rule, err
}

func checkNetText(text string) *Error {
	switch {
	case text == "":
		return &Error{Value: text, Problem: "is an empty rule", Hint: "take it out of the list, or " + netRuleHint}
	case strings.ContainsAny(text, " \t\r\n"):
		return &Error{Value: text, Problem: "has a space in it", Hint: "take it out; a list has one rule an entry"}
	case strings.IndexFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) >= 0:
		return &Error{Value: text, Problem: "has a character that is not printable ASCII",
			Hint: "write an international name in its ASCII form, which begins with xn--"}
	}
	return nil
}

func unknownScheme(text, scheme string) *Error {
	hint := "tcp, udp, icmp and unix are known; without one a rule is about TCP and UDP"
	if scheme == "http" || scheme == "https" {
		hint = `write "host:80" for HTTP, "host:443" for HTTPS`
	} else if known, ok := Nearest(strings.ToLower(scheme), append(slices.Sorted(maps.Keys(schemes)), "unix")); ok {
		hint = "did you mean " + known + "://?"
	}
	return &Error{Value: text, Problem: "has an unknown protocol " + quote(scheme), Hint: hint}
}

// splitHost separates the host from the ports. The brackets of an IPv6 address are taken off; a prefix length may stand
// inside of them or behind.
func splitHost(text, rest string) (host, ports string, hasPorts bool, err *Error) {
	if inside, found := strings.CutPrefix(rest, "["); found {
		inside, behind, closed := strings.Cut(inside, "]")
		length, ports, hasPorts := strings.Cut(behind, ":")
		switch {
		case !closed:
			return "", "", false, &Error{Value: text, Problem: "has a [ without its ]", Hint: `write an IPv6 address as in "[::1]:80"`}
		case length != "" && !strings.HasPrefix(length, "/"):
			return "", "", false, &Error{Value: text, Problem: "has " + quote(length) + " behind its ]", Hint: `write a colon before the ports, as in "[::1]:80"`}
		case !isIPv6(inside):
			return "", "", false, &Error{Value: text, Problem: "has no IPv6 address in its brackets",
				Hint: `write an address in full, as in "[::1]:80"; IPv4 addresses and names stand without brackets`}
		}
		return inside + length, ports, hasPorts, nil
	}
	if strings.Count(rest, ":") > 1 {
		return "", "", false, &Error{Value: text, Problem: "has more than one colon", Hint: `write an IPv6 address in brackets, as in "[::1]:80"`}
	}
	host, ports, hasPorts = strings.Cut(rest, ":")
	return host, ports, hasPorts, nil
}

// isIPv6 reports whether text is an IPv6 address, with or without a zone or a prefix length.
func isIPv6(text string) bool {
	address, _, _ := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.Is6()
}

// parseHost reads an address, a prefix or, in net_allow, a name.
func parseHost(text, host string, deny bool) (name string, prefix netip.Prefix, err *Error) {
	address, length, isPrefix := strings.Cut(host, "/")
	if strings.Contains(host, "%") {
		return "", prefix, &Error{Value: text, Problem: "has a zone", Hint: "leave out the % and what follows: the rule is then about every interface"}
	}
	ip, failed := netip.ParseAddr(address)
	if failed != nil && !isPrefix {
		if problem := nameProblem(address); problem != "" {
			return "", prefix, &Error{Value: text, Problem: problem, Hint: netRuleHint}
		}
		if deny {
			return "", prefix, &Error{Value: text, Problem: "has a host name, which can lead to other addresses tomorrow", Hint: "deny addresses: " +
				`"203.0.113.7", "10.0.0.0/8" or "*"`}
		}
		return strings.ToLower(strings.TrimSuffix(address, ".")), prefix, nil
	}
	if failed != nil {
		return "", prefix, &Error{Value: text, Problem: "has " + quote(address) + " before its /, which is no address", Hint: netRuleHint}
	}
	if !isPrefix {
		ip = ip.Unmap()
		return "", netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, failed = netip.ParsePrefix(address + "/" + length)
	if failed != nil {
		return "", prefix, &Error{Value: text, Problem: "has no valid prefix length behind its /", Hint: `write a number up to 32 for IPv4, up to 128 for IPv6, as in "10.0.0.0/8"`}
	}
	if prefix.Masked() != prefix {
		return "", prefix, &Error{Value: text, Problem: "has an address with bits behind its prefix", Hint: "write " + bracketed(prefix.Masked()) +
			" for the whole network, or the address alone"}
	}
	const mappedBits = 96
	if ip.Is4In6() && prefix.Bits() >= mappedBits {
		prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-mappedBits)
	}
	return "", prefix, nil
}

// bracketed is a prefix as a rule has it.
func bracketed(prefix netip.Prefix) string {
	if prefix.Addr().Is6() {
		return "[" + prefix.String() + "]"
	}
	return prefix.String()
}

// nameProblem says what keeps text from being a host name; empty for nothing. See hostname(7); underscores are in use.
func nameProblem(name string) string {
	name = strings.TrimSuffix(name, ".")
	labels := strings.Split(name, ".")
	switch {
	case name == "":
		return "has no host"
	case strings.HasPrefix(name, "*."):
		return "has a wildcard in a name, and names are resolved one by one when the sandbox starts"
	case strings.Trim(labels[len(labels)-1], "0123456789") == "" || strings.HasPrefix(name, "0x"):
		return "has " + quote(name) + ", which is neither a whole IPv4 address nor a name"
	case len(name) > 253:
		return "has a name of more than 253 characters"
	}
	for _, label := range labels {
		switch {
		case label == "":
			return "has an empty part in its name"
		case len(label) > 63:
			return "has a part of more than 63 characters in its name"
		case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
			return "has a name with a hyphen at the beginning or end of a part"
		case strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
			return "has a name with a character other than letters, digits, - and _"
		}
	}
	return ""
}
