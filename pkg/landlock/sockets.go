package landlock

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// Sockets says where the Unix sockets with a path are that a policy grants, and has the ruleset for who binds them.
//
// From ABI 9 Landlock knows who looks up a Unix socket, but below that nothing of it. So a supervisor judges, by places:
// the real path that a file has at the moment. What comes to lie in a granted folder is granted.
type Sockets struct {
	granted map[string]struct{} // real paths
	denied  *deniedSet          // of fs_denied and net_deny
	ruleset int
}

// NewSockets opens the paths of a normalized policy's rules; it gives nil where no Unix socket is granted. What is wrong
// with a path is a *policy.Error.
func NewSockets(p *policy.Policy) (*Sockets, error) {
	rules, err := p.Network()
	if err != nil {
		return nil, err
	}
	links := changeableFolders(p)
	denied, err := resolveDenied(links, pathList{"fs_denied", p.FSDenied}, pathList{"net_deny", rules.UnixDeny})
	if err != nil || len(rules.UnixAllow) == 0 {
		return nil, ofRule(err)
	}
	if err := checkMovable(p, rules.UnixDeny, links); err != nil {
		return nil, ofRule(err)
	}
	s := &Sockets{granted: make(map[string]struct{}), denied: denied}
	s.ruleset, err = createRuleset(&unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_SOCK})
	if err != nil {
		return nil, fmt.Errorf("create Landlock ruleset for Unix sockets: %w", err)
	}
	for _, path := range rules.UnixAllow {
		if err := s.grant(path, links); err != nil {
			unix.Close(s.ruleset)
			return nil, ofRule(err)
		}
	}
	return s, nil
}

// checkMovable refuses to deny Unix sockets by their place where the command may move them to another one.
func checkMovable(p *policy.Policy, denied []string, links changeable) error {
	if len(denied) == 0 {
		return nil
	}
	kept, err := resolveDenied(links, pathList{"fs_denied", p.FSDenied})
	if err != nil {
		return err
	}
	for _, path := range denied {
		set, err := resolveDenied(links, pathList{"net_deny", []string{path}})
		if err != nil {
			return err
		}
		for real := range set.paths {
			if withinAny(real, links.real) && !kept.covers(real) {
				return &policy.Error{Field: "net_deny", Value: path, Problem: "is in fs_writable, where the command can move it to another place",
					Hint: "put " + strconv.Quote(path) + " in fs_denied as well"}
			}
		}
	}
	return nil
}

// ofRule has an error about a path name the rule that the path is from.
func ofRule(err error) error {
	var fault *policy.Error
	if errors.As(err, &fault) && strings.HasPrefix(fault.Field, "net_") {
		fault.Value = fmt.Sprintf("unix://%s", fault.Value)
	}
	return err
}

// grant takes the path of a socket, or of a folder, where sockets can be bound as well.
func (s *Sockets) grant(path string, links changeable) error {
	const field = "net_allow"
	fd, err := links.openPath(field, path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	st, err := statx(fd, "")
	if err != nil {
		return fmt.Errorf("stat %s %q: %w", field, path, err)
	}
	if !isFolder(st) && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return &policy.Error{Field: field, Value: path, Problem: "is neither a socket nor a folder",
			Hint: "name the socket that a server listens at, or the folder that it is in"}
	}
	real, err := realPath(field, path, fd)
	if err != nil {
		return err
	}
	s.granted[real] = struct{}{}
	if !isFolder(st) {
		return nil
	}
	g := granter{ruleset: s.ruleset, handled: unix.LANDLOCK_ACCESS_FS_MAKE_SOCK, denied: s.denied}
	return g.grant(fd, real, g.handled)
}

// Grants reports whether a socket of this real path may be reached.
func (s *Sockets) Grants(real string) bool {
	return strings.HasPrefix(real, "/") && isBeneath(real, s.granted) && !s.denied.covers(real)
}

// Fd returns the descriptor of a ruleset that lets sockets be made in the granted folders and nowhere else, which stays
// the Sockets' own. It is to be enforced on top of the policy's.
func (s *Sockets) Fd() int { return s.ruleset }

// Close closes the ruleset.
func (s *Sockets) Close() error { return unix.Close(s.ruleset) }
