package policy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func TestNetRules(t *testing.T) {
	all, both, any := AllPorts(), TCP|UDP, netip.Prefix{}
	prefix := netip.MustParsePrefix
	for text, want := range map[string]NetRule{
		"example.com:443":                {both, "example.com", any, Ports{{443, 443}}},
		"Example.COM.:443":               {both, "example.com", any, Ports{{443, 443}}},
		"_dmarc.a-b.example:1":           {both, "_dmarc.a-b.example", any, Ports{{1, 1}}},
		"localhost:*":                    {both, "localhost", any, all},
		":80":                            {both, "", any, Ports{{80, 80}}},
		"*:80":                           {both, "", any, Ports{{80, 80}}},
		"*:*":                            {both, "", any, all},
		"tcp://*:80,443":                 {TCP, "", any, Ports{{80, 80}, {443, 443}}},
		"tcp://:443,80":                  {TCP, "", any, Ports{{80, 80}, {443, 443}}},
		"udp://10.0.0.1:53":              {UDP, "", prefix("10.0.0.1/32"), Ports{{53, 53}}},
		"10.0.0.0/8:8000-8010,8011,8005": {both, "", prefix("10.0.0.0/8"), Ports{{8000, 8011}}},
		"0.0.0.0/0:1-65535":              {both, "", prefix("0.0.0.0/0"), Ports{{1, 65535}}},
		"[::1]:80":                       {both, "", prefix("::1/128"), Ports{{80, 80}}},
		"[fd00::/8]:80":                  {both, "", prefix("fd00::/8"), Ports{{80, 80}}},
		"[fd00::]/8:80":                  {both, "", prefix("fd00::/8"), Ports{{80, 80}}},
		"[::ffff:10.0.0.1]:80":           {both, "", prefix("10.0.0.1/32"), Ports{{80, 80}}},
		"[::ffff:10.0.0.0/104]:80":       {both, "", prefix("10.0.0.0/8"), Ports{{80, 80}}},
		"[::/0]:80":                      {both, "", prefix("::/0"), Ports{{80, 80}}},
		"icmp://10.0.0.1":                {ICMP, "", prefix("10.0.0.1/32"), all},
		"icmp://*":                       {ICMP, "", any, all},
		"icmp://[::1]":                   {ICMP, "", prefix("::1/128"), all},
		"icmp://example.com":             {ICMP, "example.com", any, all},
	} {
		expectRule(t, text, false, want)
	}
}

// A rule that denies need not name ports, and is about ICMP as well then.
func TestNetRulesThatDeny(t *testing.T) {
	every, all, prefix := TCP|UDP|ICMP, AllPorts(), netip.MustParsePrefix
	for text, want := range map[string]NetRule{
		"*":                {every, "", netip.Prefix{}, all},
		"10.0.0.0/8":       {every, "", prefix("10.0.0.0/8"), all},
		"[fe80::/10]":      {every, "", prefix("fe80::/10"), all},
		"tcp://10.0.0.1":   {TCP, "", prefix("10.0.0.1/32"), all},
		"10.0.0.1:25":      {TCP | UDP, "", prefix("10.0.0.1/32"), Ports{{25, 25}}},
		"udp://*:53":       {UDP, "", netip.Prefix{}, Ports{{53, 53}}},
		"icmp://127.0.0.1": {ICMP, "", prefix("127.0.0.1/32"), all},
	} {
		expectRule(t, text, true, want)
	}
}

func expectRule(t *testing.T, text string, deny bool, want NetRule) {
	t.Helper()
	got, err := parseNetRule(text, deny)
	if err != nil {
		t.Errorf("%s: %v", text, err)
	}
	if diff := cmp.Diff(want, got, comparePrefixes); diff != "" {
		t.Errorf("%s (-want +got):\n%s", text, diff)
	}
}

func TestWrongNetRules(t *testing.T) {
	expectRefused(t, "net_allow", func(text string) Policy { return Policy{NetAllow: []string{"*:80", text}} }, [][2]string{
		{"", `"" is an empty rule; take it out of the list, or write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{" ", `" " has a space in it; take it out; a list has one rule an entry`},
		{"example.com", `"example.com" has no port; write "example.com:443", or "example.com:*" for any port`},
		{"example.com:", `"example.com:" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"example.com:http", `"example.com:http" has "http" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"example.com:80,", `"example.com:80," has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"example.com:80-", `"example.com:80-" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"example.com:90-80", `"example.com:90-80" has a range of ports that ends before it begins; write "80-90"`},
		{"example.com:-1", `"example.com:-1" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"example.com:65536", `"example.com:65536" has the port "65536", which is above 65535; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"example.com:80,*", `"example.com:80,*" has a * among other ports; write "*" alone for any port`},
		{"example.com:0", `"example.com:0" has the port 0, which no peer has; begin with 1, or write "*" for any port`},
		{"example.com:0-80", `"example.com:0-80" has the port 0, which no peer has; begin with 1, or write "*" for any port`},
		{"example.com: 80", `"example.com: 80" has a space in it; take it out; a list has one rule an entry`},
		{"example.com:+80", `"example.com:+80" has "+80" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"example.com:٠", `"example.com:٠" has a character that is not printable ASCII; write an international name in its ASCII form, which begins with xn--`},
		{"exämple.com:80", `"exämple.com:80" has a character that is not printable ASCII; write an international name in its ASCII form, which begins with xn--`},
		{"http://example.com:80", `"http://example.com:80" has an unknown protocol "http"; write "host:80" for HTTP, "host:443" for HTTPS`},
		{"TCP://example.com:80", `"TCP://example.com:80" has an unknown protocol "TCP"; did you mean tcp://?`},
		{"tpc://example.com:80", `"tpc://example.com:80" has an unknown protocol "tpc"; did you mean tcp://?`},
		{"://x:80", `"://x:80" has an unknown protocol ""; tcp, udp, icmp and unix are known; without one a rule is about TCP and UDP`},
		{"tcp://", `"tcp://" has no host; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"tcp://:", `"tcp://:" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{":", `":" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"icmp://10.0.0.1:80", `"icmp://10.0.0.1:80" has a port, and ICMP knows none; write "icmp://10.0.0.1"`},
		{"icmp://", `"icmp://" has no host; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"icmp://*:1", `"icmp://*:1" has a port, and ICMP knows none; write "icmp://*"`},
		{"::1", `"::1" has more than one colon; write an IPv6 address in brackets, as in "[::1]:80"`},
		{"::1:80", `"::1:80" has more than one colon; write an IPv6 address in brackets, as in "[::1]:80"`},
		{"[::1]", `"[::1]" has no port; write "[::1]:443", or "[::1]:*" for any port`},
		{"[::1:80", `"[::1:80" has a [ without its ]; write an IPv6 address as in "[::1]:80"`},
		{"[::1]80", `"[::1]80" has "80" behind its ]; write a colon before the ports, as in "[::1]:80"`},
		{"[10.0.0.1]:80", `"[10.0.0.1]:80" has no IPv6 address in its brackets; write an address in full, as in "[::1]:80"; IPv4 addresses and names stand without brackets`},
		{"[]:80", `"[]:80" has no IPv6 address in its brackets; write an address in full, as in "[::1]:80"; IPv4 addresses and names stand without brackets`},
		{"[zz::]:80", `"[zz::]:80" has no IPv6 address in its brackets; write an address in full, as in "[::1]:80"; IPv4 addresses and names stand without brackets`},
		{"https://example.com", `"https://example.com" has an unknown protocol "https"; write "host:80" for HTTP, "host:443" for HTTPS`},
		{"[fe80::1%eth0]:80", `"[fe80::1%eth0]:80" has a zone; leave out the % and what follows: the rule is then about every interface`},
		{"10.0.0.0/8%eth0:80", `"10.0.0.0/8%eth0:80" has a zone; leave out the % and what follows: the rule is then about every interface`},
		{"10.0.0.0/33:80", `"10.0.0.0/33:80" has no valid prefix length behind its /; write a number up to 32 for IPv4, up to 128 for IPv6, as in "10.0.0.0/8"`},
		{"10.0.0.0/:80", `"10.0.0.0/:80" has no valid prefix length behind its /; write a number up to 32 for IPv4, up to 128 for IPv6, as in "10.0.0.0/8"`},
		{"10.0.0.0/-1:80", `"10.0.0.0/-1:80" has no valid prefix length behind its /; write a number up to 32 for IPv4, up to 128 for IPv6, as in "10.0.0.0/8"`},
		{"10.0.0.0/08:80", `"10.0.0.0/08:80" has no valid prefix length behind its /; write a number up to 32 for IPv4, up to 128 for IPv6, as in "10.0.0.0/8"`},
		{"10.0.0.1/8:80", `"10.0.0.1/8:80" has an address with bits behind its prefix; write 10.0.0.0/8 for the whole network, or the address alone`},
		{"10.0.0:80", `"10.0.0:80" has "10.0.0", which is neither a whole IPv4 address nor a name; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"256.0.0.1:80", `"256.0.0.1:80" has "256.0.0.1", which is neither a whole IPv4 address nor a name; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"0x7f.1:80", `"0x7f.1:80" has "0x7f.1", which is neither a whole IPv4 address nor a name; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"1.2.3.4.5:80", `"1.2.3.4.5:80" has "1.2.3.4.5", which is neither a whole IPv4 address nor a name; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"127.1:80", `"127.1:80" has "127.1", which is neither a whole IPv4 address nor a name; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"example.com/8:80", `"example.com/8:80" has "example.com" before its /, which is no address; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"[fd00::1]/8:80", `"[fd00::1]/8:80" has an address with bits behind its prefix; write [fd00::/8] for the whole network, or the address alone`},
		{"*.example.com:80", `"*.example.com:80" has a wildcard in a name, and names are resolved one by one when the sandbox starts; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"-a.com:80", `"-a.com:80" has a name with a hyphen at the beginning or end of a part; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"a-.com:80", `"a-.com:80" has a name with a hyphen at the beginning or end of a part; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"a..b:80", `"a..b:80" has an empty part in its name; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{".:80", `".:80" has no host; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"a b:80", `"a b:80" has a space in it; take it out; a list has one rule an entry`},
		{"user@host:80", `"user@host:80" has a name with a character other than letters, digits, - and _; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"exa$mple.com:80", `"exa$mple.com:80" has a name with a character other than letters, digits, - and _; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"example.com:80\x00", `"example.com:80\x00" has a character that is not printable ASCII; write an international name in its ASCII form, which begins with xn--`},
		{"host/path:80", `"host/path:80" has "host" before its /, which is no address; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"tcp://example.com:80/path", `"tcp://example.com:80/path" has "80/path" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
	})
	expectRefused(t, "net_deny", func(text string) Policy { return Policy{NetDeny: []string{text}} }, [][2]string{
		{"example.com", `"example.com" has a host name, which can lead to other addresses tomorrow; deny addresses: "203.0.113.7", "10.0.0.0/8" or "*"`},
		{"localhost:80", `"localhost:80" has a host name, which can lead to other addresses tomorrow; deny addresses: "203.0.113.7", "10.0.0.0/8" or "*"`},
		{"tcp://example.com", `"tcp://example.com" has a host name, which can lead to other addresses tomorrow; deny addresses: "203.0.113.7", "10.0.0.0/8" or "*"`},
		{"*.x:1", `"*.x:1" has a wildcard in a name, and names are resolved one by one when the sandbox starts; write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
		{"", `"" is an empty rule; take it out of the list, or write host:port, as in "example.com:443", "10.0.0.0/8:80,8000-8010", "[::1]:53", "udp://*:123" or "icmp://10.0.0.1"`},
	})
}

func TestWrongBindPorts(t *testing.T) {
	wrong := [][2]string{
		{"", `"" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"http", `"http" has "http" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"80-", `"80-" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"-80", `"-80" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"90-80", `"90-80" has a range of ports that ends before it begins; write "80-90"`},
		{"65536", `"65536" has the port "65536", which is above 65535; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"80,,81", `"80,,81" has an empty port; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"80 ", `"80 " has a space in its ports; take the space out`},
		{"*,80", `"*,80" has a * among other ports; write "*" alone for any port`},
		{"80-90-100", `"80-90-100" has "90-100" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"1e3", `"1e3" has "1e3" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"0x50", `"0x50" has "0x50" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
		{"80;81", `"80;81" has "80;81" where a port is expected; ports are numbers up to 65535, as in "80", "8000-8010" or "80,443", or "*" for any`},
	}
	expectRefused(t, "net_deny_bind", func(text string) Policy { return Policy{NetDenyBind: []string{text}} }, wrong)
	wrong = append(wrong, [2]string{"*", `"*" stands beside other ports; write ["*"] alone for any port`})
	expectRefused(t, "net_allow_bind", func(text string) Policy { return Policy{NetAllowBind: []string{"1", text}} }, wrong)
}

// expectRefused normalizes policies that each hold one wrong entry, and compares the errors after the field's name.
func expectRefused(t *testing.T, field string, with func(string) Policy, entries [][2]string) {
	t.Helper()
	for _, entry := range entries {
		p := with(entry[0])
		_, err := p.Normalized()
		var problem *Error
		if !errors.As(err, &problem) {
			t.Errorf("%s %q: error %v is no *Error", field, entry[0], err)
		} else if diff := cmp.Diff(field+": "+entry[1], err.Error()); diff != "" {
			t.Errorf("%s %q: message (-want +got):\n%s", field, entry[0], diff)
		}
	}
}

func TestNetwork(t *testing.T) {
	for name, test := range map[string]struct {
		policy Policy
		bind   Ports
	}{
		"nothing":             {policy: Policy{}},
		"a list":              {policy: Policy{NetAllowBind: []string{"80,443", "8000-8010", "8005-8020"}}, bind: Ports{{80, 80}, {443, 443}, {8000, 8020}}},
		"any":                 {policy: Policy{NetAllowBind: []string{"*"}}, bind: AllPorts()},
		"all but":             {policy: Policy{NetDenyBind: []string{"0-1023", "8080"}}, bind: Ports{{1024, 8079}, {8081, 65535}}},
		"a list but":          {policy: Policy{NetAllowBind: []string{"80-90"}, NetDenyBind: []string{"80,85", "90-100"}}, bind: Ports{{81, 84}, {86, 89}}},
		"a list and none":     {policy: Policy{NetAllowBind: []string{"80"}, NetDenyBind: []string{"*"}}},
		"peers":               {policy: Policy{NetAllow: []string{"*:80"}}},
		"all peers but these": {policy: Policy{NetDeny: []string{"10.0.0.0/8"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.policy.Network()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.bind, got.Bind); diff != "" {
				t.Errorf("Bind (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzNetRule states what holds for every text: no panic, errors that can be shown, and rules that mean something.
func FuzzNetRule(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string, deny bool) {
		rule, err := parseNetRule(text, deny)
		if err != nil {
			if message := err.Error(); err.Problem == "" || err.Hint == "" || !utf8.ValidString(message) {
				t.Errorf("%q: %s", text, message)
			}
			return
		}
		switch prefix := rule.Prefix; {
		case rule.Protocols == 0 || len(rule.Ports) == 0:
			t.Errorf("%q is a rule about nothing: %+v", text, rule)
		case rule.Host != "" && (deny || prefix.IsValid()):
			t.Errorf("%q is about a name that it may not have: %+v", text, rule)
		case prefix.IsValid() && (prefix != prefix.Masked() || prefix.Addr().Is4In6() && prefix.Bits() >= 96):
			t.Errorf("%q has a prefix that is not in its normal form: %v", text, prefix)
		case rule.Host != strings.ToLower(rule.Host):
			t.Errorf("%q has a name that is not in its normal form: %q", text, rule.Host)
		}
	})
}
