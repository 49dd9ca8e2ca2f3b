package landlock

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// deniedSet is what lists of denied paths lead to, in the forms in which grants are compared with it.
type deniedSet struct {
	paths map[string]struct{} // real paths: of what is denied, and of other places where it is mounted
	above map[string]ancestor // real paths of all folders that lead to one of paths
	ids   map[fileID]struct{} // the files and folders behind both; rules are on these, whatever the name
}

// ancestor is a folder on the way to something denied.
type ancestor struct {
	overFolder bool   // one of the denied things beneath is a folder
	field      string // the list that has one of them
	denied     string // which one, as the policy has it
}

// pathList is a field of a policy with its entries.
type pathList struct {
	field string
	paths []string
}

// fileID is what makes two names the same file.
type fileID struct {
	major, minor uint32
	inode        uint64
}

func idOf(st *unix.Statx_t) fileID {
	return fileID{st.Dev_major, st.Dev_minor, st.Ino}
}

func isFolder(st *unix.Statx_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFDIR }

// resolveDenied opens the denied paths, which must exist: a rule cannot be on what is not there, so a path misspelt
// here would protect nothing.
func resolveDenied(links changeable, lists ...pathList) (*deniedSet, error) {
	set := &deniedSet{paths: map[string]struct{}{}, above: map[string]ancestor{}, ids: map[fileID]struct{}{}}
	if !slices.ContainsFunc(lists, func(l pathList) bool { return len(l.paths) > 0 }) {
		return set, nil
	}
	mounts, err := readMounts()
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		for _, path := range list.paths {
			if err := set.resolve(list.field, path, mounts, links); err != nil {
				return nil, err
			}
		}
	}
	return set, nil
}

func (s *deniedSet) resolve(field, path string, mounts mountTable, links changeable) error {
	fd, err := links.openPath(field, path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	real, err := realPath(field, path, fd)
	if err != nil {
		return err
	}
	opened, err := statx(fd, "")
	if err != nil {
		return fmt.Errorf("stat %s %q: %w", field, path, err)
	}
	named, err := statx(unix.AT_FDCWD, real)
	if err == nil && idOf(named) != idOf(opened) {
		err = unix.ESTALE
	}
	if err == nil {
		err = s.add(field, path, real, named)
	}
	if err != nil {
		return &policy.Error{Field: field, Value: path, Problem: fmt.Sprintf("cannot be found by its real path %q", real),
			Hint: "it must not be moved or deleted meanwhile, and this user needs the x permission on the folders that lead to it", Cause: err}
	}
	aliases, err := mounts.aliases(real, opened.Mnt_id)
	if err != nil {
		return fmt.Errorf("%s %q: %w", field, path, err)
	}
	for _, alias := range aliases {
		seen, err := statx(unix.AT_FDCWD, alias.path)
		if err != nil || seen.Mnt_id != alias.mount {
			continue // out of this user's reach, and so of the command's; or hidden below another mount
		}
		if err := s.add(field, path, alias.path, seen); err != nil {
			return fmt.Errorf("%s %q, also mounted at %q: %w", field, path, alias.path, err)
		}
	}
	return nil
}

// add records a real path, and the folders that lead to it.
func (s *deniedSet) add(field, spelled, real string, st *unix.Statx_t) error {
	s.paths[real] = struct{}{}
	s.ids[idOf(st)] = struct{}{}
	for folder := real; folder != "/"; {
		folder = parent(folder)
		leading, err := statx(unix.AT_FDCWD, folder)
		if err != nil {
			return err
		}
		s.ids[idOf(leading)] = struct{}{}
		s.above[folder] = ancestor{overFolder: s.above[folder].overFolder || isFolder(st), field: field, denied: spelled}
	}
	return nil
}

func (s *deniedSet) empty() bool { return len(s.paths) == 0 }

// covers reports whether a real path is denied, or beneath something that is.
func (s *deniedSet) covers(real string) bool {
	return !s.empty() && isBeneath(real, s.paths)
}

// isBeneath reports whether a real path is one of several, or beneath one.
func isBeneath(real string, paths map[string]struct{}) bool {
	for ; ; real = parent(real) {
		if _, is := paths[real]; is {
			return true
		}
		if real == "/" {
			return false
		}
	}
}

// realPath returns the path of an open file from the root folder, free of symbolic links.
func realPath(field, path string, fd int) (string, error) {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlink(fmt.Sprintf("/proc/thread-self/fd/%d", fd), buffer)
	if errors.Is(err, unix.ENOENT) {
		return "", fmt.Errorf("%s %q: finding its real path for fs_denied needs /proc to be mounted: %w", field, path, err)
	}
	if err != nil {
		return "", fmt.Errorf("%s %q: find its real path: %w", field, path, err)
	}
	real := string(buffer[:n])
	if !strings.HasPrefix(real, "/") {
		return "", &policy.Error{Field: field, Value: path, Problem: fmt.Sprintf("is no file beneath the root folder but %q", real),
			Hint: "take it out of the list, or leave fs_denied empty"}
	}
	return real, nil
}

// parent returns the folder that an absolute path is in, and "/" for itself.
func parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "/"
}

// child returns the path of a name in a folder.
func child(folder, name string) string {
	return strings.TrimSuffix(folder, "/") + "/" + name
}
