package landlock

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// mount is one line of mountinfo: which folder of which file system is seen where.
type mount struct {
	id     uint64
	device string
	root   string // the folder, from the file system's own root
	point  string // where it is mounted, from this process's root
}

// mountTable is what the calling thread has mounted.
type mountTable []mount

// alias is another path to the same files, by way of a mount.
type alias struct {
	path  string
	mount uint64
}

func readMounts() (mountTable, error) {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read the table of mounts, which fs_denied needs: %w", err)
	}
	return parseMounts(string(text))
}

func parseMounts(text string) (mountTable, error) {
	var table mountTable
	for line := range strings.Lines(text) {
		fields := strings.Split(line, " ") // not Fields: a path may contain other white space
		if len(fields) < 5 {
			return nil, fmt.Errorf("mountinfo line %q has too few fields", line)
		}
		id, err := strconv.ParseUint(fields[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("mountinfo line %q: %w", line, err)
		}
		table = append(table, mount{id: id, device: fields[2], root: unescape(fields[3]), point: unescape(fields[4])})
	}
	return table, nil
}

// unescape undoes the octal escapes that mountinfo has for space, tab, newline and backslash.
func unescape(field string) string {
	var text []byte
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+3 < len(field) {
			if code, err := strconv.ParseUint(field[i+1:i+4], 8, 8); err == nil {
				text = append(text, byte(code))
				i += 3
				continue
			}
		}
		text = append(text, field[i])
	}
	return string(text)
}

// aliases returns the other places where a file or folder, or a part of what is beneath, is mounted. The path is its
// real one, in the mount of the given id.
func (t mountTable) aliases(path string, id uint64) ([]alias, error) {
	i := slices.IndexFunc(t, func(m mount) bool { return m.id == id })
	if i < 0 {
		return nil, fmt.Errorf("%q is in a mount that mountinfo does not show (in a chroot?), so other paths to it stay unknown", path)
	}
	found := t.aliasesIn(t[i], path)
	for _, beneath := range t {
		if _, ok := within(beneath.point, path); ok {
			found = append(found, t.aliasesIn(beneath, beneath.point)...)
		}
	}
	return found, nil
}

// aliasesIn does so for a path of one mount, mounts upon that aside.
func (t mountTable) aliasesIn(m mount, path string) []alias {
	rest, ok := within(path, m.point)
	if !ok {
		return nil
	}
	inside := join(m.root, rest)
	var found []alias
	for _, other := range t {
		if other.id == m.id || other.device != m.device {
			continue
		}
		if rest, ok := within(inside, other.root); ok {
			found = append(found, alias{join(other.point, rest), other.id})
		} else if _, ok := within(other.root, inside); ok {
			found = append(found, alias{other.point, other.id})
		}
	}
	return found
}

// within returns what is left of a path beneath a folder: "" for the folder itself, else beginning with a slash.
func within(path, folder string) (string, bool) {
	if path == folder {
		return "", true
	}
	folder = strings.TrimSuffix(folder, "/")
	return strings.TrimPrefix(path, folder), strings.HasPrefix(path, folder+"/")
}

// join puts what within returned beneath another folder.
func join(folder, rest string) string {
	if rest == "" {
		return folder
	}
	return strings.TrimSuffix(folder, "/") + rest
}
