package landlock

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// Landlock knows only what is allowed, and a rule on a folder is good for everything beneath. So to deny D beneath a
// granted folder G, G gets no rule; instead, from G down to D's own folder, every entry gets the rule except the one
// that leads to D. What that means:
//
//   - The folders from G to D's can be walked through, but nothing in them can be made, removed or renamed, and they
//     can be listed only if nothing denied beneath is itself a folder (the right to list would pass on to it).
//   - Entries are looked up when the ruleset is built: those that appear later in these folders are out of reach. In
//     /proc this includes the command's own processes.
//   - D is denied by place, with what is beneath, and wherever else it is mounted. Its content is not denied where the
//     file has another name: a hard link in a folder that is granted as a whole, or a layer of an overlay.
//   - Moving D from outside the sandbox to a place that is granted makes it reachable: a rule follows the place.
//
// A mistake on the way, such as a folder that cannot be listed, is an error; whatever changes its place meanwhile ends
// up without a rule.

// grant gives rights to an open file or folder of the given real path, except to what is denied in it. The path
// matters only if something is denied.
func (g *granter) grant(fd int, path string, access uint64) error {
	if g.denied.empty() {
		return g.grantWhole(fd, access)
	}
	st, err := statx(fd, "")
	if err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil // an entry met while carving; its target has rules, or none, of its own
	}
	if g.denied.covers(path) {
		return nil
	}
	if _, ok := g.denied.above[path]; ok {
		return g.carve(fd, path, access)
	}
	if _, ok := g.denied.ids[idOf(st)]; ok {
		return nil // another name, at the moment or for good, of what must have no rule
	}
	if !isFolder(st) {
		access &= fileAccess
	}
	if access == 0 { // rights for folders alone
		return nil
	}
	return addPathRule(g.ruleset, fd, access)
}

// grantWhole gives rights to an open file or folder.
func (g *granter) grantWhole(fd int, access uint64) error {
	err := addPathRule(g.ruleset, fd, access)
	if err == unix.EINVAL { // it is no folder
		err = addPathRule(g.ruleset, fd, access&fileAccess)
	}
	return err
}

// carve gives rights to what a folder contains, except to what is denied in it.
func (g *granter) carve(folder int, path string, access uint64) error {
	above := g.denied.above[path]
	names, err := list(folder)
	if errors.Is(err, unix.EACCES) {
		return &policy.Error{Field: above.field, Value: above.denied, Cause: err,
			Problem: fmt.Sprintf("cannot be carved out of the granted folder %q, which this user may not list", path),
			Hint:    "grant the folders beside it one by one instead of the one around it"}
	}
	if err != nil {
		return fmt.Errorf("list %q to carve out %s %q: %w", path, above.field, above.denied, err)
	}
	if listing := access & unix.LANDLOCK_ACCESS_FS_READ_DIR; listing != 0 && !above.overFolder {
		if err := addPathRule(g.ruleset, folder, listing); err != nil {
			return fmt.Errorf("add the rule for %q: %w", path, err)
		}
	}
	for _, name := range names {
		if err := g.grantEntry(folder, name, child(path, name), access); err != nil {
			return err
		}
	}
	return nil
}

func (g *granter) grantEntry(folder int, name, path string, access uint64) error {
	fd, err := openat(folder, name, unix.O_PATH|unix.O_NOFOLLOW)
	switch err {
	case nil:
		defer unix.Close(fd)
	case unix.ENOENT, unix.ESRCH, unix.EACCES:
		return nil // gone meanwhile, or out of this user's reach and so of the command's
	default:
		return fmt.Errorf("open %q: %w", path, err)
	}
	err = g.grant(fd, path, access)
	var fault *policy.Error
	switch {
	case errors.Is(err, unix.EBADFD):
		return nil // a namespace file that is mounted here: Landlock has no rules for it and does not restrict it
	case err == nil || errors.As(err, &fault):
		return err
	}
	return fmt.Errorf("grant %q: %w", path, err)
}

// list returns the names in a folder that is open as a reference.
func list(folder int) ([]string, error) {
	fd, err := openat(folder, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var names []string
	buffer := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(fd, buffer)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return names, nil
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
	}
}
