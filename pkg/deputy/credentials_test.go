package deputy_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A child of root that becomes somebody else is performed for as somebody else, also where the host is still root.
func TestPerformedWithTheTasksCredentials(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a child that changes its user")
	}
	const nobody, group = 65534, 0x1010 // the group as setgroups(2) reads it: "\x10\x10\0\0"
	fillOwned := func(t *testing.T, folder string) {
		t.Helper()
		if err := os.Chmod(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		for name, owner := range map[string][3]int{
			"roots": {0, 0, 0o600}, "everybodys": {0, 0, 0o644}, "nobodys": {nobody, nobody, 0o600}, "groups": {0, group, 0o040},
			"tool": {0, 0, 0o711},
		} {
			path := filepath.Join(folder, name)
			write(t, path, name)
			if err := os.Chmod(path, os.FileMode(owner[2])); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(path, owner[0], owner[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	cwd := unix.AT_FDCWD
	tries := concat(opened(cwd, "roots", unix.O_RDONLY), opened(cwd, "everybodys", unix.O_RDONLY), opened(cwd, "everybodys", unix.O_RDWR),
		opened(cwd, "nobodys", unix.O_RDONLY), opened(cwd, "groups", unix.O_RDONLY), opened(cwd, "new", unix.O_WRONLY|unix.O_CREAT), []step{
			do(unix.SYS_FACCESSAT, cwd, "roots", 4), do(unix.SYS_FACCESSAT, cwd, "tool", 1), do(unix.SYS_FACCESSAT, cwd, "groups", 4),
			do(unix.SYS_FACCESSAT2, cwd, "roots", 4, unix.AT_EACCESS), do(unix.SYS_FACCESSAT2, cwd, "groups", 4, unix.AT_EACCESS),
			do(unix.SYS_FCHMODAT, cwd, "roots", 0o604), do(unix.SYS_FCHMODAT, cwd, "nobodys", 0o640),
			do(unix.SYS_FCHOWNAT, cwd, "nobodys", 0, 0, 0), do(unix.SYS_MKDIRAT, cwd, "folder", 0o755),
			do(unix.SYS_UTIMENSAT, cwd, "everybodys", 0, 0), do(unix.SYS_TRUNCATE, "nobodys", 0),
		})
	for name, become := range map[string][]step{
		"root": {},
		"nobody": {do(unix.SYS_SETGROUPS, 0, 0), do(unix.SYS_SETRESGID, nobody, nobody, nobody),
			do(unix.SYS_SETRESUID, nobody, nobody, nobody)},
		"nobody of a group": {do(unix.SYS_SETGROUPS, 1, "\x10\x10\x00\x00"), do(unix.SYS_SETRESGID, nobody, nobody, nobody),
			do(unix.SYS_SETRESUID, nobody, nobody, nobody)},
		"an effective user":     {do(unix.SYS_SETRESUID, 0, nobody, 0)},
		"a real user":           {do(unix.SYS_SETRESUID, nobody, 0, 0)},
		"a file system user":    {do(unix.SYS_SETFSUID, nobody)},
		"root without groups":   {do(unix.SYS_SETGROUPS, 0, 0)},
		"root of another group": {do(unix.SYS_SETRESGID, group, group, group)},
	} {
		t.Run(name, func(t *testing.T) {
			expectSame(t, fillOwned, concat(become, tries)...)
		})
	}
}
