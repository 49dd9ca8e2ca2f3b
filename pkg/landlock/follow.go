package landlock

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// changeable are the folders beneath which a command may change names.
//
// There it may put a symbolic link in the place of what the policy names, and the next run would grant what that leads
// to. So no path of the policy is followed through a link in such a folder, unless this user could not have made it. What
// is granted may also be what the command may write anyway.
type changeable struct {
	real  []string // where the paths of fs_writable lead
	plain []string // those of them in which no link is, so that nobody has led them anywhere
}

// mostLinks is MAXSYMLINKS of linux/namei.h.
const mostLinks = 40

// linkError says that a path leads through a link that the command may have made.
type linkError struct{ link, target string }

func (e *linkError) Error() string {
	return fmt.Sprintf("leads through %q, a symbolic link in a folder that the command may write", e.link)
}

func changeableFolders(p *policy.Policy) changeable {
	var folders changeable
	for _, path := range p.FSWritable {
		path = absolute(path)
		// What cannot be resolved cannot be opened either, and the error of that says more.
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			continue
		}
		folders.real = append(folders.real, real)
		if real == filepath.Clean(path) {
			folders.plain = append(folders.plain, real)
		}
	}
	return folders
}

// open opens what a path leads to as a mere reference (O_PATH). The path that it opens in the end has no links: there
// is no moment in which one could be slipped in. It may lead through any link to the harmless folders.
func (c changeable) open(path string, harmless []string) (int, error) {
	path = absolute(path)
	if len(c.real) == 0 || !strings.HasPrefix(path, "/") {
		return openat(unix.AT_FDCWD, path, unix.O_PATH)
	}
	var planted *linkError
	for range mostLinks {
		fd, err := openat2(path, unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_NO_SYMLINKS})
		if err == nil && planted != nil && !withinAny(filepath.Clean(path), harmless) {
			unix.Close(fd)
			return -1, planted
		}
		if err != unix.ELOOP {
			return fd, err
		}
		folder, target, rest := firstLink(path)
		if onProc(folder) { // its links are more than their texts
			if planted != nil {
				return -1, planted
			}
			return openat(unix.AT_FDCWD, path, unix.O_PATH)
		}
		if planted == nil && withinAny(filepath.Clean(folder), c.real) && mayChange(folder) {
			planted = &linkError{strings.TrimSuffix(path, rest), target}
		}
		if !strings.HasPrefix(target, "/") {
			target = folder + target
		}
		path = target + rest
	}
	return -1, unix.ELOOP
}

// firstLink splits an absolute path at its first component that is a link; folder ends with a slash.
func firstLink(path string) (folder, target, rest string) {
	text := make([]byte, unix.PathMax)
	for start := 1; start <= len(path); {
		end := len(path)
		if i := strings.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		if n, err := unix.Readlink(path[:end], text); err == nil {
			return path[:start], string(text[:n]), path[end:]
		}
		start = end + 1
	}
	return path, "", "" // it was one a moment ago
}

// withinAny reports whether a path is one of the folders, or beneath one.
func withinAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool {
		_, ok := within(path, folder)
		return ok
	})
}

// mayChange reports whether this user may change the names in a folder, or take the right to.
func mayChange(folder string) bool {
	var st unix.Stat_t
	return unix.Faccessat(unix.AT_FDCWD, folder, unix.W_OK, unix.AT_EACCESS) == nil ||
		unix.Stat(folder, &st) == nil && int(st.Uid) == os.Geteuid()
}

func onProc(folder string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(folder, &fs) == nil && fs.Type == unix.PROC_SUPER_MAGIC
}

// absolute puts the working directory before a relative path, unless that is gone.
func absolute(path string) string {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Getcwd(buffer)
	if err != nil || strings.HasPrefix(path, "/") {
		return path
	}
	return child(string(buffer[:n-1]), path)
}
