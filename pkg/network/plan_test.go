package network

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/policy"
)

func ports(text string) policy.Ports {
	set, err := policy.ParsePorts(text)
	if err != nil {
		panic(err)
	}
	return set
}

func TestPlan(t *testing.T) {
	const tcp, udp, icmp, unix = policy.TCP, policy.UDP, policy.ICMP, policy.Unix
	any := policy.AllPorts()
	for name, test := range map[string]struct {
		allow, deny, allowBind, denyBind []string
		want                             Plan
	}{
		"nothing": {},
		"TCP ports": {allow: []string{"tcp://*:80,443"},
			want: Plan{Calls{tcp, Kernel, Kernel, Denied, Denied}, ports("80,443"), nil}},
		"every TCP port": {allow: []string{"tcp://*:*"}, want: Plan{Calls{tcp, Kernel, Kernel, Denied, Denied}, any, nil}},
		"1,000 TCP ports": {allow: []string{"tcp://*:1-1000"},
			want: Plan{Calls{tcp, Kernel, Kernel, Denied, Denied}, ports("1-1000"), nil}},
		"1,001 TCP ports": {allow: []string{"tcp://*:1-1001"}, want: Plan{Calls{tcp, Supervised, Kernel, Denied, Denied}, any, nil}},
		"TCP ports less some": {allow: []string{"tcp://*:80-90"}, deny: []string{"tcp://*:85"},
			want: Plan{Calls{tcp, Kernel, Kernel, Denied, Denied}, ports("80-84,86-90"), nil}},
		"an address": {allow: []string{"tcp://10.0.0.1:80"},
			want: Plan{Calls{tcp, Supervised, Kernel, Denied, Denied}, ports("80"), nil}},
		"a name": {allow: []string{"tcp://localhost:80"},
			want: Plan{Calls{tcp, Supervised, Kernel, Denied, Denied}, ports("80"), nil}},
		"an address that any is already": {allow: []string{"tcp://10.0.0.1:80", "tcp://*:80"},
			want: Plan{Calls{tcp, Kernel, Kernel, Denied, Denied}, ports("80"), nil}},
		"a port less an address": {allow: []string{"tcp://*:80"}, deny: []string{"10.0.0.1"},
			want: Plan{Calls{tcp, Supervised, Kernel, Denied, Denied}, ports("80"), nil}},
		"a port less an address at another": {allow: []string{"tcp://*:80"}, deny: []string{"10.0.0.1:81"},
			want: Plan{Calls{tcp, Kernel, Kernel, Denied, Denied}, ports("80"), nil}},
		"TCP and UDP": {allow: []string{"*:53"},
			want: Plan{Calls{tcp | udp, Supervised, Supervised, Supervised, Denied}, ports("53"), nil}},
		"all of UDP": {allow: []string{"udp://*:*"}, want: Plan{Calls{udp, Kernel, Kernel, Supervised, Denied}, nil, nil}},
		"all of UDP, bound": {allow: []string{"udp://*:*"}, allowBind: []string{"*"},
			want: Plan{Calls{tcp | udp, Kernel, Kernel, Kernel, Kernel}, nil, any}},
		"all of UDP, some TCP": {allow: []string{"udp://*:*", "tcp://*:80"},
			want: Plan{Calls{tcp | udp, Kernel, Kernel, Supervised, Denied}, ports("80"), nil}},
		"ping":           {allow: []string{"icmp://10.0.0.1"}, want: Plan{Calls{icmp, Supervised, Supervised, Denied, Denied}, nil, nil}},
		"ping to all":    {allow: []string{"icmp://*"}, want: Plan{Calls{icmp, Kernel, Kernel, Denied, Denied}, nil, nil}},
		"all but a port": {deny: []string{"tcp://*:25"}, want: Plan{Calls{tcp | udp | icmp, Supervised, Kernel, Supervised, Denied}, any, nil}},
		"all but an address": {deny: []string{"10.0.0.1"},
			want: Plan{Calls{tcp | udp | icmp, Supervised, Supervised, Supervised, Denied}, any, nil}},
		"all but UDP":         {deny: []string{"udp://*"}, want: Plan{Calls{tcp | icmp, Kernel, Kernel, Denied, Denied}, any, nil}},
		"all but all":         {deny: []string{"*"}},
		"some but all":        {allow: []string{"10.0.0.1:80"}, deny: []string{"*"}},
		"ports to bind":       {allowBind: []string{"80"}, want: Plan{Calls{tcp, Denied, Kernel, Kernel, Supervised}, nil, ports("80")}},
		"a port to bind":      {allowBind: []string{"0"}, want: Plan{Calls{tcp, Denied, Kernel, Kernel, Kernel}, nil, ports("0")}},
		"any port but 0":      {allowBind: []string{"1-65535"}, want: Plan{Calls{tcp, Denied, Kernel, Supervised, Supervised}, nil, any}},
		"every port":          {allowBind: []string{"*"}, want: Plan{Calls{tcp, Denied, Kernel, Kernel, Kernel}, nil, any}},
		"all but one to bind": {denyBind: []string{"22"}, want: Plan{Calls{tcp, Denied, Kernel, Supervised, Kernel}, nil, any}},
		"Unix sockets":        {allow: []string{"unix:///run"}, want: Plan{Calls{unix, Supervised, Supervised, Supervised, Kernel}, nil, nil}},
		"Unix sockets less some, and no address": {allow: []string{"unix:///run"}, deny: []string{"unix:///run/s", "10.0.0.1"},
			want: Plan{Calls{unix, Supervised, Supervised, Supervised, Kernel}, nil, nil}},
		"Unix sockets that are denied": {deny: []string{"unix:///run"}},
		"Unix sockets and TCP ports": {allow: []string{"unix:///run", "tcp://*:80"},
			want: Plan{Calls{tcp | unix, Supervised, Supervised, Supervised, Supervised}, ports("80"), nil}},
		"Unix sockets and every port": {allow: []string{"unix:///run"}, allowBind: []string{"*"},
			want: Plan{Calls{tcp | unix, Supervised, Supervised, Supervised, Kernel}, nil, any}},
		"all but a port and a Unix socket": {deny: []string{"tcp://*:25", "unix:///run"},
			want: Plan{Calls{tcp | udp | icmp, Supervised, Kernel, Supervised, Denied}, any, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy.Policy{NetAllow: test.allow, NetDeny: test.deny, NetAllowBind: test.allowBind, NetDenyBind: test.denyBind}
			rules, err := p.Network()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, NewPlan(rules, true)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Without Landlock's rules for TCP ports, the supervisor judges them.
func TestPlanWithoutLandlock(t *testing.T) {
	p := policy.Policy{NetAllow: []string{"tcp://*:80"}, NetAllowBind: []string{"0", "80"}}
	rules, err := p.Network()
	if err != nil {
		t.Fatal(err)
	}
	want := Calls{policy.TCP, Supervised, Kernel, Supervised, Kernel}
	if diff := cmp.Diff(want, NewPlan(rules, false).Calls); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLooseSockets(t *testing.T) {
	for _, test := range []struct{ calls, want Calls }{
		{Calls{}, Calls{Send: Supervised}},
		{Calls{policy.TCP, Kernel, Kernel, Kernel, Denied}, Calls{policy.TCP, Supervised, Supervised, Supervised, Denied}},
		{Calls{policy.UDP, Supervised, Denied, Denied, Kernel}, Calls{policy.UDP, Supervised, Supervised, Denied, Supervised}},
	} {
		if diff := cmp.Diff(test.want, test.calls.WithLooseSockets()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
