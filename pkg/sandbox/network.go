package sandbox

import (
	"sandlock/pkg/deputy"
	"sandlock/pkg/netcall"
	"sandlock/pkg/network"
	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
	"sandlock/pkg/supervise"
)

// judgeNetwork prepares for the rules that the kernel cannot enforce alone.
func (p *preparation) judgeNetwork(rules *policy.Policy) error {
	if !p.network.Supervised() {
		return nil
	}
	peers, err := rules.Network()
	if err != nil {
		return err
	}
	calls := p.network.Calls
	named := false
	for _, rule := range peers.Allow {
		named = named || rule.Host != ""
	}
	if named || max(calls.Send, calls.Bind, calls.Listen) == network.Supervised {
		return &policy.Error{Field: "net_allow", Problem: "or another rule about the network is one that is not judged yet",
			Hint: `write TCP ports, as in "tcp://*:443" and "tcp://10.0.0.1:443", and 0 among the ports to bind`}
	}
	p.judge = network.NewJudge(peers, nil)
	return nil
}

// performNetwork lets a performer have the calls that the supervisor judges. Where handlers are asked as well, it
// refuses first what is not granted.
func performNetwork(plan network.Plan, judge *network.Judge, d *deputy.Deputy, chains map[int]supervise.Chain) *netcall.Performer {
	if !plan.Supervised() {
		return nil
	}
	performer := netcall.New(judge, d)
	for name, access := range map[string]network.Access{"connect": plan.Connect} {
		nr, err := seccomp.Native().Number(name)
		if access != network.Supervised || err != nil {
			continue
		}
		chain := chains[nr]
		if chain.Pulled || len(chain.Handlers) > 0 {
			chain.Handlers = append([]supervise.Handler{performer}, chain.Handlers...)
		}
		chain.Performer = performer
		chains[nr] = chain
	}
	return performer
}
