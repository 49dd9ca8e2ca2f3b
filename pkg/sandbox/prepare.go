package sandbox

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"sandlock/pkg/hosts"
	"sandlock/pkg/landlock"
	"sandlock/pkg/launch"
	"sandlock/pkg/limits"
	"sandlock/pkg/network"
	"sandlock/pkg/policy"
	"sandlock/pkg/proc"
	"sandlock/pkg/seccomp"
	"sandlock/pkg/supervise"
)

// A preparation turns a sandbox and a command into the launch's Spec, and owns what is open meanwhile.
type preparation struct {
	process  *Process
	chains   map[int]supervise.Chain
	optional map[int]bool // the calls that the policy may deny although a chain is about them
	network  network.Plan
	judge    *network.Judge    // of what the kernel does not judge alone
	sockets  *landlock.Sockets // nil where no Unix socket is granted
	loose    bool              // see Command.passesLoose
	hosts    hosts.File        // what the command finds in /etc/hosts, when the rules have names
	spec     launch.Spec
	open     []interface{ Close() error }
}

// close gives up what the launch no longer needs. Nothing was written, so that no error can matter.
func (p *preparation) close() {
	for _, file := range p.open {
		file.Close()
	}
}

// descriptor is a file that is known by its number only.
type descriptor int

func (d descriptor) Close() error { return unix.Close(int(d)) }

func (p *preparation) own(file interface{ Close() error }) { p.open = append(p.open, file) }

// prepare checks everything that can be checked before something starts.
func (p *preparation) prepare(s *Sandbox, command Command) error {
	if err := command.check(); err != nil {
		return err
	}
	rules, err := s.Policy.Normalized()
	if err != nil {
		return err
	}
	if p.chains, p.optional, err = chainsOf(s.Handlers); err != nil {
		return err
	}
	if s.Narrow {
		p.process.narrowing = network.NewNarrowing(proc.Lineage)
	}
	p.loose = command.passesLoose()
	for _, part := range []func(*policy.Policy) error{p.confine, p.bound, p.filter, p.identify, p.settle,
		p.changeDir, p.limit, p.pin} {
		if err := part(rules); err != nil {
			return err
		}
	}
	p.spec.Argv, p.spec.Env = command.Args, rules.Environ(command.Environ)
	files, err := lookUp(command.Args[0], p.spec.Env, p.spec.Dir)
	if err != nil {
		return err
	}
	p.spec.Path, p.spec.Alternatives = files[0], files[1:]
	if err = p.connect(command); err != nil {
		return err
	}
	if most := rules.MaxOpenFiles; most != nil && *most < uint64(len(p.spec.Files)) {
		return &policy.Error{Field: "max_open_files", Value: *most, Problem: "leaves no room for the command's streams and extra files",
			Hint: fmt.Sprintf("there are %d; most programs need some 10 more", len(p.spec.Files))}
	}
	if p.process.group = limits.NewGroup(rules); p.process.group != nil {
		p.spec.Cgroup = &launch.Cgroup{Path: p.process.group.Path(), Procs: p.process.group.Enter()}
	}
	p.process.limits = limits.Mechanisms(rules, p.process.group)
	p.process.watch, err = limits.NewWatch(rules, p.process.group)
	return err
}

// chainsOf orders the registrations by system call. It names the calls whose registrations are all optional.
func chainsOf(registrations []Registration) (chains map[int]supervise.Chain, optional map[int]bool, err error) {
	chains, optional = make(map[int]supervise.Chain), make(map[int]bool)
	for _, r := range registrations {
		nr, err := strconv.Atoi(r.Syscall)
		if err != nil {
			nr, err = seccomp.Native().Number(r.Syscall)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("register a handler: %w", err)
		}
		if nr < 0 {
			return nil, nil, &policy.Error{Field: "handlers", Value: nr, Problem: "is no system call number",
				Hint: "numbers start at 0; a name such as \"openat\" works as well"}
		}
		chain, again := chains[nr]
		optional[nr] = r.Optional && (optional[nr] || !again)
		if r.Handler != nil {
			chain.Handlers = append(chain.Handlers, r.Handler)
		} else {
			chain.Pulled, chain.Fallback, chain.Timeout = true, r.Fallback, r.Timeout
		}
		chains[nr] = chain
	}
	return chains, optional, nil
}

func (p *preparation) confine(rules *policy.Policy) error {
	abi, err := landlock.ABI()
	if err != nil {
		return err
	}
	if p.sockets, err = landlock.NewSockets(rules); err != nil {
		return err
	}
	if p.sockets != nil {
		p.own(p.sockets)
	}
	ruleset, err := landlock.Build(rules, abi)
	if err != nil {
		return err
	}
	p.own(ruleset)
	p.spec.Ruleset, p.process.degraded = ruleset.Fd(), ruleset.Degraded()
	p.network = ruleset.Network()
	if err := p.judgeNetwork(rules); err != nil {
		return err
	}
	p.spec.ReaperRuleset = -1
	if slices.Contains(rules.Disable, policy.SignalScope) {
		return nil // the command would inherit the scope from the reaper
	}
	scope, err := landlock.SignalScope(abi)
	if err != nil {
		return err
	}
	if scope != nil {
		p.own(scope)
		p.spec.ReaperRuleset, p.spec.ReaperRulesetFlags = scope.Fd(), landlock.QuietFlags(abi)
	}
	return nil
}

var filters seccomp.Cache

func (p *preparation) filter(rules *policy.Policy) error {
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails: see crypto/rand
	p.spec.Nonce = binary.NativeEndian.Uint64(nonce[:])
	builtin := p.determine(rules)
	wanted, optional := p.registered()
	filter, err := filters.Compile(seccomp.Spec{
		Arch:        seccomp.Native(),
		Notify:      wanted,
		Optional:    optional,
		Builtin:     slices.Concat(slices.Sorted(maps.Keys(builtin)), p.hostsCalls()),
		ExtraDeny:   slices.Concat(rules.ExtraDenySyscalls, limits.Denied(rules)),
		ExtraAllow:  rules.ExtraAllowSyscalls,
		Network:     p.network.Calls,
		ChildSignal: p.supervised() || len(builtin) > 0 || p.hosts != "",
		// Who is restricted must not leave its lineage to an ancestor that is not.
		NoSubreapers: p.process.narrowing != nil && !p.network.Closed(),
		LaunchNonce:  p.spec.Nonce,
	})
	if err != nil {
		return err
	}
	p.spec.Filter = filter.Program
	for name, handler := range builtin {
		if nr, err := seccomp.Native().Number(name); err == nil { // not every machine has every call
			p.ask(nr, handler)
		}
	}
	p.showHosts()
	if p.supervised() {
		p.spec.FilterFlags = seccomp.ListenerFlags()
		p.ask(unix.SYS_RT_SIGACTION, supervise.RestartCalls)
	}
	return nil
}

// registered are the calls of the chains so far: those that must not be denied, and those that may be.
func (p *preparation) registered() (wanted, optional []int) {
	for _, nr := range slices.Sorted(maps.Keys(p.chains)) {
		if p.optional[nr] {
			optional = append(optional, nr)
		} else {
			wanted = append(wanted, nr)
		}
	}
	return wanted, optional
}

// supervised reports whether calls are sent to the supervisor.
func (p *preparation) supervised() bool { return len(p.chains) > 0 || p.network.Supervised() }

// changeDir opens the working directory, so that what was checked is what the command gets.
func (p *preparation) changeDir(rules *policy.Policy) error {
	p.spec.Dir = -1
	if rules.Cwd == "" {
		return nil
	}
	fd, err := unix.Open(rules.Cwd, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return &policy.Error{Field: "cwd", Value: rules.Cwd, Problem: "does not exist",
			Hint: "create it, or leave cwd out to run in the host's directory", Cause: err}
	case errors.Is(err, unix.ENOTDIR):
		return &policy.Error{Field: "cwd", Value: rules.Cwd, Problem: "is no directory", Hint: "name a folder", Cause: err}
	case err != nil:
		return &policy.Error{Field: "cwd", Value: rules.Cwd, Problem: "cannot be opened: " + err.Error(),
			Hint: "name another folder, or leave cwd out to run in the host's", Cause: err}
	}
	p.own(descriptor(fd))
	p.spec.Dir = fd
	return nil
}

func (p *preparation) limit(rules *policy.Policy) error {
	for _, wish := range rules.Rlimits() {
		var host unix.Rlimit
		if err := unix.Getrlimit(wish.Resource, &host); err != nil {
			return fmt.Errorf("read the host's limit for %s: %w", wish.Name, err)
		}
		wish = wish.Under(host.Max)
		p.spec.Limits = append(p.spec.Limits, launch.Limit{Name: wish.Name, Resource: wish.Resource,
			Rlimit: unix.Rlimit{Cur: wish.Soft, Max: wish.Hard}})
	}
	return nil
}

// bound sets up what a limit needs of the supervisor.
func (p *preparation) bound(rules *policy.Policy) error {
	if p.process.narrowing != nil { // so that there are limits to lower
		unlimited := limits.Unlimited
		rules.MaxMemory, rules.MaxProcesses = cmp.Or(rules.MaxMemory, &unlimited), cmp.Or(rules.MaxProcesses, &unlimited)
	}
	if rules.MaxProcesses == nil {
		return nil
	}
	denied, err := seccomp.Native().Expand(rules.ExtraDenySyscalls)
	if err != nil {
		return fmt.Errorf("extra_deny_syscalls: %w", err)
	}
	p.process.forks = limits.NewForks(*rules.MaxProcesses)
	for _, nr := range p.process.forks.Calls() {
		if !slices.Contains(denied, nr) {
			p.ask(nr, p.process.forks)
			chain := p.chains[nr]
			chain.Performer = p.process.forks
			p.chains[nr] = chain
		}
	}
	return nil
}

// ask puts a handler of ours before those of the user.
func (p *preparation) ask(nr int, handler supervise.Handler) {
	chain := p.chains[nr]
	chain.Handlers = slices.Insert(chain.Handlers, 0, handler)
	p.chains[nr] = chain
}

func (p *preparation) pin(rules *policy.Policy) error {
	var err error
	p.spec.CPUs, err = limits.CPUs(rules)
	return err
}

func streamName(fd int) string {
	names := [...]string{"stdin", "stdout", "stderr"}
	if fd < len(names) {
		return names[fd]
	}
	return "the file for descriptor " + strconv.Itoa(fd)
}

func (p *preparation) connect(command Command) error {
	served := [3]*int{&p.process.stdin.fd, &p.process.stdout.fd, &p.process.stderr.fd}
	files := []Stdio{command.Stdin, command.Stdout, command.Stderr}
	for _, fd := range command.ExtraFiles {
		files = append(files, File(fd))
	}
	for i, stream := range files {
		if i == 2 && stream.kind == kindStdout {
			stream = File(p.spec.Files[1])
		}
		fd, host, err := stream.open(i == 0, len(files))
		switch stream.kind {
		case kindPipe:
			*served[i] = host
		case kindStream:
			p.process.streams[i] = host
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", streamName(i), err)
		}
		p.own(descriptor(fd))
		p.spec.Files = append(p.spec.Files, fd)
	}
	p.spec.Terminal, p.spec.Held = command.Terminal, command.Held
	p.process.stdin.rest = command.Input
	var err error
	if p.process.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make the process's eventfd: %w", err)
	}
	return nil
}
