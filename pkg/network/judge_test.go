package network

import (
	"net/netip"
	"testing"

	"sandlock/pkg/policy"
)

func judgeOf(t *testing.T, p policy.Policy, hosts map[string][]netip.Addr) *Judge {
	t.Helper()
	rules, err := p.Network()
	if err != nil {
		t.Fatal(err)
	}
	return NewJudge(rules, hosts)
}

func TestMayReach(t *testing.T) {
	const tcp, udp, icmp = policy.TCP, policy.UDP, policy.ICMP
	hosts := map[string][]netip.Addr{"pinned.example": {netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}}
	for _, test := range []struct {
		allow, deny []string
		protocol    policy.Protocols
		peer        string
		want        bool
	}{
		{nil, nil, tcp, "192.0.2.1:80", false},
		{[]string{"192.0.2.1:80"}, nil, tcp, "192.0.2.1:80", true},
		{[]string{"192.0.2.1:80"}, nil, udp, "192.0.2.1:80", true},
		{[]string{"192.0.2.1:80"}, nil, icmp, "192.0.2.1:80", false},
		{[]string{"192.0.2.1:80"}, nil, tcp, "192.0.2.1:81", false},
		{[]string{"192.0.2.1:80"}, nil, tcp, "192.0.2.2:80", false},
		{[]string{"tcp://192.0.2.1:80"}, nil, udp, "192.0.2.1:80", false},
		{[]string{"udp://192.0.2.1:80"}, nil, udp, "192.0.2.1:80", true},
		{[]string{"192.0.2.0/25:80"}, nil, tcp, "192.0.2.127:80", true},
		{[]string{"192.0.2.0/25:80"}, nil, tcp, "192.0.2.128:80", false},
		{[]string{"0.0.0.0/0:80"}, nil, tcp, "[::1]:80", false},
		{[]string{"[::/0]:80"}, nil, tcp, "192.0.2.1:80", false},
		{[]string{"[::/0]:80"}, nil, tcp, "[2001:db8::1]:80", true},
		{[]string{"*:80"}, nil, tcp, "[2001:db8::1]:80", true},
		{[]string{"[::ffff:192.0.2.1]:80"}, nil, tcp, "192.0.2.1:80", true},
		{[]string{"[fe80::1]:80"}, nil, tcp, "[fe80::1%2]:80", true},
		{[]string{"pinned.example:80"}, nil, tcp, "192.0.2.7:80", true},
		{[]string{"pinned.example:80"}, nil, tcp, "[2001:db8::7]:80", true},
		{[]string{"pinned.example:80"}, nil, tcp, "192.0.2.8:80", false},
		{[]string{"unknown.example:80"}, nil, tcp, "192.0.2.7:80", false},
		{[]string{"icmp://192.0.2.1"}, nil, icmp, "192.0.2.1:0", true},
		{[]string{"icmp://192.0.2.1"}, nil, icmp, "192.0.2.1:77", true},
		{[]string{"icmp://192.0.2.1"}, nil, icmp, "192.0.2.2:0", false},
		{[]string{"*:*"}, []string{"192.0.2.1"}, tcp, "192.0.2.1:80", false},
		{[]string{"*:*"}, []string{"192.0.2.1:81"}, tcp, "192.0.2.1:80", true},
		{[]string{"192.0.2.1:80"}, []string{"192.0.2.0/24"}, tcp, "192.0.2.1:80", false},
		{[]string{"pinned.example:80"}, []string{"192.0.2.7"}, tcp, "192.0.2.7:80", false},
		{[]string{"pinned.example:80"}, []string{"192.0.2.7"}, tcp, "[2001:db8::7]:80", true},
		{nil, []string{"tcp://*:25"}, tcp, "192.0.2.1:25", false},
		{nil, []string{"tcp://*:25"}, udp, "192.0.2.1:25", true},
		{nil, []string{"tcp://*:25"}, icmp, "192.0.2.1:0", true},
		{nil, []string{"192.0.2.1"}, icmp, "192.0.2.1:0", false},
	} {
		j := judgeOf(t, policy.Policy{NetAllow: test.allow, NetDeny: test.deny}, hosts)
		if got := j.MayReach(test.protocol, netip.MustParseAddrPort(test.peer)); got != test.want {
			t.Errorf("allow %v, deny %v: protocol %d to %s: %t", test.allow, test.deny, test.protocol, test.peer, got)
		}
	}
}

func TestMayBind(t *testing.T) {
	j := judgeOf(t, policy.Policy{NetAllowBind: []string{"80-90"}, NetDenyBind: []string{"85"}}, nil)
	for _, test := range []struct {
		protocol policy.Protocols
		port     uint16
		want     bool
	}{
		{policy.TCP, 80, true}, {policy.TCP, 85, false}, {policy.TCP, 91, false}, {policy.TCP, 0, false},
		{policy.UDP, 80, true}, {policy.UDP, 85, false}, {policy.UDP, 91, false}, {policy.UDP, 0, true},
		{policy.ICMP, 0, true}, {policy.ICMP, 80, false}, {0, 80, false}, {0, 0, false},
	} {
		if got := j.MayBind(test.protocol, test.port); got != test.want {
			t.Errorf("protocol %d, port %d: %t", test.protocol, test.port, got)
		}
	}
}
