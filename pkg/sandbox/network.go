package sandbox

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/hosts"
	"sandlock/pkg/netcall"
	"sandlock/pkg/network"
	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
	"sandlock/pkg/supervise"
)

// judgeNetwork prepares for the rules that the kernel cannot enforce alone.
func (p *preparation) judgeNetwork(rules *policy.Policy) error {
	if p.loose || p.process.narrowing != nil && !p.network.Closed() {
		p.network.Calls = p.network.WithLooseSockets()
	}
	peers, err := rules.Network()
	if err != nil {
		return err
	}
	addresses, err := hosts.Resolve(peers.Allow)
	if err != nil {
		return err
	}
	p.judge = network.NewJudge(peers, addresses)
	if addresses != nil {
		p.hosts = hosts.File(addresses.Text())
	}
	return nil
}

// hostsCalls are the calls that showHosts wants.
func (p *preparation) hostsCalls() []string {
	if p.hosts == "" {
		return nil
	}
	return hosts.Calls
}

// showHosts lets the command find the names of the rules.
func (p *preparation) showHosts() {
	for _, name := range p.hostsCalls() {
		if nr, err := seccomp.Native().Number(name); err == nil {
			p.ask(nr, p.hosts)
		}
	}
}

// passesLoose reports whether one of the host's files that the command gets is a socket that may yet lead anywhere.
func (c Command) passesLoose() bool {
	files := slices.Clone(c.ExtraFiles)
	for _, stream := range []Stdio{c.Stdin, c.Stdout, c.Stderr} {
		if stream.kind == kindFile {
			files = append(files, stream.fd)
		}
	}
	return slices.ContainsFunc(files, isLoose)
}

// isLoose is false for what has a peer that it cannot change without a call that the filter sees: stream and seqpacket
// sockets that are connected, and Unix sockets that listen.
func isLoose(fd int) bool {
	option := func(name int) int {
		value, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, name)
		if err != nil {
			return -1
		}
		return value
	}
	switch kind := option(unix.SO_TYPE); {
	case kind < 0:
		return false // no socket
	case kind != unix.SOCK_STREAM && kind != unix.SOCK_SEQPACKET:
		return true
	}
	_, err := unix.Getpeername(fd)
	return err != nil && !(option(unix.SO_DOMAIN) == unix.AF_UNIX && option(unix.SO_ACCEPTCONN) == 1)
}

// performNetwork lets a performer have the calls that the supervisor judges, if there are any. Where handlers are asked
// as well, it refuses first what is not granted.
func (p *preparation) performNetwork(d *deputy.Deputy) (*netcall.Performer, error) {
	plan, chains := p.network, p.chains
	if !plan.Supervised() {
		return nil, nil
	}
	var sockets *netcall.Unix
	if p.sockets != nil {
		binder, err := newDeputy(p.spec.Ruleset, p.sockets.Fd())
		if err != nil {
			return nil, err
		}
		sockets = &netcall.Unix{Places: p.sockets, Binder: binder}
	}
	performer := netcall.New(p.judge, p.process.narrowing, d, sockets)
	for name, access := range map[string]network.Access{"connect": plan.Connect, "bind": plan.Bind, "listen": plan.Listen,
		"sendto": plan.Send, "sendmsg": plan.Send, "sendmmsg": plan.Send} {
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
	return performer, nil
}

// newDeputy makes a deputy inside the rulesets, which stay the caller's.
func newDeputy(rulesets ...int) (*deputy.Deputy, error) {
	kept := make([]int, len(rulesets))
	for i, ruleset := range rulesets {
		var err error
		if kept[i], err = unix.FcntlInt(uintptr(ruleset), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			for _, fd := range kept[:i] {
				unix.Close(fd)
			}
			return nil, fmt.Errorf("keep the ruleset: %w", err)
		}
	}
	return deputy.New(kept...), nil
}
