package landlock

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// changeable are the real paths of the folders beneath which a command may change names.
//
// There it may put a symbolic link in the place of what the policy names, and the next run would grant what that leads
// to. So no path of the policy is followed through a link in such a folder, unless this user could not have made it.
type changeable []string

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
		// What cannot be resolved cannot be opened either, and the error of that says more.
		if real, err := filepath.EvalSymlinks(absolute(path)); err == nil {
			folders = append(folders, real)
		}
	}
	return folders
}

// open opens what a path leads to as a mere reference (O_PATH). The path that it opens in the end has no links: there
// is no moment in which one could be slipped in.
func (c changeable) open(path string) (int, error) {
	path = absolute(path)
	if len(c) == 0 || !strings.HasPrefix(path, "/") {
		return openat(unix.AT_FDCWD, path, unix.O_PATH)
	}
	for range mostLinks {
		fd, err := openat2(path, unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_NO_SYMLINKS})
		if err != unix.ELOOP {
			return fd, err
		}
		folder, target, rest := firstLink(path)
		if onProc(folder) {
			return openat(unix.AT_FDCWD, path, unix.O_PATH) // its links are more than their texts
		}
		if c.contain(folder) {
			if fd, err = openat(unix.AT_FDCWD, path, unix.O_PATH); err == nil { // which would be the better error
				err = &linkError{strings.TrimSuffix(path, rest), target}
				unix.Close(fd)
			}
			return -1, err
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

// contain reports whether the command may change the names in a folder, whose path has no links.
func (c changeable) contain(folder string) bool {
	real := filepath.Clean(folder)
	for _, writable := range c {
		if real == writable || strings.HasPrefix(real, child(writable, "")) {
			return mayChange(real)
		}
	}
	return false
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
