package landlock

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// openPath opens what a path of the policy leads to, following symbolic links that the command cannot have made, as a mere
// reference (O_PATH) that needs no permission on the thing itself.
func (c changeable) openPath(field, path string) (int, error) {
	harmless := c.plain
	if field == "fs_denied" || field == "net_deny" {
		harmless = nil // another thing would be denied than before
	}
	fd, err := c.open(path, harmless)
	if err == nil {
		return fd, nil
	}
	if link := (*linkError)(nil); errors.As(err, &link) {
		return -1, &policy.Error{Field: field, Value: path, Problem: link.Error(),
			Hint: fmt.Sprintf("if it is right that it leads to %q, write that instead", link.target)}
	}
	problem, hint := explain(field, path, err)
	if problem == "" {
		return -1, fmt.Errorf("open %s %q: %w", field, path, err)
	}
	return -1, &policy.Error{Field: field, Value: path, Problem: problem, Hint: hint, Cause: err}
}

// explain tells what a failed open says about the path, and nothing for a failure that is not the path's fault.
func explain(field, path string, err error) (problem, hint string) {
	switch err {
	case unix.ENOENT:
		var link unix.Stat_t
		if unix.Lstat(path, &link) == nil {
			return "is a symbolic link whose target does not exist", "create the target first, or take the path out of the list"
		}
		if _, gone := unix.Getcwd(make([]byte, unix.PathMax)); !strings.HasPrefix(path, "/") && gone == unix.ENOENT {
			return "is a relative path, and the working directory has been deleted", "write an absolute path, or change to a folder that exists"
		}
		if path == "~" || strings.HasPrefix(path, "~/") {
			return "does not exist", "write the home folder in full: only shells expand ~"
		}
		if field == "net_allow" {
			return "does not exist", "start its server first, or grant the folder that it will be in"
		}
		return "does not exist", "create it first, or take it out of the list"
	case unix.EACCES:
		return "is behind a folder that this user may not search", "ask for the x permission on the folders that lead to it, or take it out of the list"
	case unix.ENOTDIR:
		return "leads through something that is not a folder", "correct the path, or take it out of the list"
	case unix.ELOOP:
		return "leads through too many symbolic links", "look for links that point at each other"
	case unix.ENAMETOOLONG:
		return "is too long for the kernel", "a name has at most 255 bytes, a path at most 4095; a relative path can be shorter"
	}
	return "", ""
}
