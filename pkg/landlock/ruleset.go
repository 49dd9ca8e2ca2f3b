package landlock

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"sandlock/pkg/network"
	"sandlock/pkg/policy"
)

// Ruleset is a filled Landlock ruleset: the kernel's object behind a file descriptor, to be given to
// landlock_restrict_self by the process that shall be confined.
type Ruleset struct {
	fd     int
	states map[policy.Protection]state
	plan   network.Plan
}

// Fd returns the ruleset's file descriptor, which is close-on-exec and stays the Ruleset's own.
func (r *Ruleset) Fd() int { return r.fd }

// Degraded are the protections that the kernel lacks and the policy does without, in the order of their numbers.
func (r *Ruleset) Degraded() []policy.Protection {
	return slices.DeleteFunc(policy.Protections(), func(p policy.Protection) bool { return r.states[p] != degraded })
}

// Network says who enforces the policy's rules about the network, of which the ruleset has its part.
func (r *Ruleset) Network() network.Plan { return r.plan }

// Close closes the file descriptor. Processes that are confined already stay so. Closing again does nothing.
func (r *Ruleset) Close() error {
	if r.fd < 0 {
		return nil
	}
	fd := r.fd
	r.fd = -1
	if err := unix.Close(fd); err != nil {
		return fmt.Errorf("close Landlock ruleset: %w", err)
	}
	return nil
}

// Build makes the ruleset for a normalized policy on a kernel of the given Landlock ABI, which is ABI's answer, or a
// lower number to do as an older kernel would. Relative paths start at the working directory of this moment.
//
// It fails with a *policy.Error where the policy is at fault, with a *MissingProtectionError where the kernel is, and
// leaves no file descriptor behind then.
func Build(p *policy.Policy, abi int) (*Ruleset, error) {
	states, err := resolve(p, abi)
	if err != nil {
		return nil, err
	}
	links := changeableFolders(p)
	denied, err := resolveDenied(links, pathList{"fs_denied", p.FSDenied})
	if err != nil {
		return nil, err
	}
	rules, err := p.Network()
	if err != nil {
		return nil, err
	}
	plan := network.NewPlan(rules, states[policy.NetTCP] == enforced)
	attr := handled(abi, states)
	attr.Handled_access_net &^= unrestricted(plan)
	fd, err := createRuleset(&attr)
	if err != nil {
		return nil, fmt.Errorf("create Landlock ruleset for ABI %d: %w", abi, err)
	}
	g := granter{ruleset: fd, handled: attr.Handled_access_fs, denied: denied, links: links}
	err = g.grantPolicy(p)
	if err == nil {
		err = g.grantSockets(rules.UnixAllow)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	if err := grantPorts(fd, plan, attr.Handled_access_net); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Ruleset{fd: fd, states: states, plan: plan}, nil
}

// granter adds the rules for files.
type granter struct {
	ruleset int
	handled uint64
	denied  *deniedSet
	links   changeable
}

func (g *granter) grantPolicy(p *policy.Policy) error {
	for _, path := range p.FSReadable {
		if err := g.grantPath("fs_readable", path, readAccess); err != nil {
			return err
		}
	}
	for _, path := range p.FSWritable {
		if err := g.grantPath("fs_writable", path, writeAccess); err != nil {
			return err
		}
	}
	return nil
}

// grantSockets lets Unix sockets be looked up, as far as Landlock knows of it: see Sockets.
func (g *granter) grantSockets(paths []string) error {
	access := g.handled & unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	if access == 0 {
		return nil
	}
	for _, path := range paths {
		if err := g.grantPath("net_allow", path, access); err != nil {
			return err
		}
	}
	return nil
}

// grantPath holds the path's file descriptor no longer than the rule takes: there may be more paths than descriptors.
func (g *granter) grantPath(field, path string, access uint64) error {
	fd, err := g.links.openPath(field, path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var real string
	if !g.denied.empty() {
		if real, err = realPath(field, path, fd); err != nil {
			return err
		}
	}
	err = g.grant(fd, real, access&g.handled)
	if errors.Is(err, unix.EBADFD) {
		return &policy.Error{Field: field, Value: path, Problem: "is a pipe, a socket or the like, which Landlock has no rules for",
			Hint: "take it out of the list: it needs none", Cause: err}
	}
	var fault *policy.Error
	if err != nil && !errors.As(err, &fault) {
		return fmt.Errorf("grant %s %q: %w", field, path, err)
	}
	return err
}
