package landlock

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

func TestFiles(t *testing.T) {
	root := tree(t, "r/file", "w/file", "out/file")
	p := &policy.Policy{FSReadable: []string{root + "/r"}, FSWritable: []string{root + "/w"}, AllowDegraded: all()}
	got := confined(t, p, newest(t), attempts{
		"read in readable":            read(root + "/r/file"),
		"write in readable":           write(root + "/r/file"),
		"create in readable":          create(root + "/r/new"),
		"list readable":               listed(root + "/r"),
		"remove in readable":          func() error { return unix.Unlink(root + "/r/file") },
		"read in writable":            read(root + "/w/file"),
		"write in writable":           write(root + "/w/file"),
		"create in writable":          create(root + "/w/new"),
		"list writable":               listed(root + "/w"),
		"mkdir in writable":           func() error { return unix.Mkdir(root+"/w/dir", 0o700) },
		"mkfifo in writable":          func() error { return unix.Mkfifo(root+"/w/fifo", 0o600) },
		"symlink in writable":         func() error { return unix.Symlink("file", root+"/w/link") },
		"unlink in writable":          func() error { return unix.Unlink(root + "/w/new") },
		"make a device in writable":   func() error { return unix.Mknod(root+"/w/null", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) },
		"make a disk in writable":     func() error { return unix.Mknod(root+"/w/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))) },
		"remove the writable folder":  func() error { return unix.Rmdir(root + "/w") },
		"read elsewhere":              read(root + "/out/file"),
		"write elsewhere":             write(root + "/out/file"),
		"list above":                  listed(root),
		"create above":                create(root + "/new"),
		"a reference to it elsewhere": open(root+"/out/file", unix.O_PATH),
		"through the reference": func() error {
			fd, err := unix.Open(root+"/out/file", unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return open(fmt.Sprintf("/proc/thread-self/fd/%d", fd), unix.O_RDONLY)()
		},
	})
	expect(t, map[string]string{
		"read in readable":            "ok",
		"write in readable":           "EACCES",
		"create in readable":          "EACCES",
		"list readable":               "ok",
		"remove in readable":          "EACCES",
		"read in writable":            "ok",
		"write in writable":           "ok",
		"create in writable":          "ok",
		"list writable":               "ok",
		"mkdir in writable":           "ok",
		"mkfifo in writable":          "ok",
		"symlink in writable":         "ok",
		"unlink in writable":          "ok",
		"make a device in writable":   "EACCES",
		"make a disk in writable":     "EACCES",
		"remove the writable folder":  "EACCES",
		"read elsewhere":              "EACCES",
		"write elsewhere":             "EACCES",
		"list above":                  "EACCES",
		"create above":                "EACCES",
		"a reference to it elsewhere": "ok", // Landlock judges the use of a file, not a reference to it
		"through the reference":       "EACCES",
	}, got)
}

func TestNothingIsGrantedByDefault(t *testing.T) {
	root := tree(t, "file")
	got := confined(t, &policy.Policy{AllowDegraded: all()}, newest(t), attempts{
		"read": read(root + "/file"), "list": listed("/"), "execute": execute("/bin/true"), "device": read("/dev/null"),
	})
	expect(t, map[string]string{"read": "EACCES", "list": "EACCES", "execute": "EACCES", "device": "EACCES"}, got)
}

func TestRuleOnAFile(t *testing.T) {
	root := tree(t, "r", "w", "other")
	p := &policy.Policy{FSReadable: []string{root + "/r"}, FSWritable: []string{root + "/w", "/dev/null"}, AllowDegraded: all()}
	got := confined(t, p, newest(t), attempts{
		"read r": read(root + "/r"), "write r": write(root + "/r"), "write w": write(root + "/w"), "other": read(root + "/other"),
		"list": listed(root), "unlink w": func() error { return unix.Unlink(root + "/w") }, "null": write("/dev/null"),
	})
	expect(t, map[string]string{"read r": "ok", "write r": "EACCES", "write w": "ok", "other": "EACCES",
		"list": "EACCES", "unlink w": "EACCES", "null": "ok"}, got)
}

func TestExecute(t *testing.T) {
	root := tree(t, "r/keep", "w/keep", "out/keep")
	for _, folder := range []string{"r", "w", "out"} {
		program, err := os.ReadFile("/bin/true")
		if err != nil {
			t.Skip(err)
		}
		if err := os.WriteFile(filepath.Join(root, folder, "true"), program, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := &policy.Policy{FSReadable: append(system(t), root+"/r"), FSWritable: []string{root + "/w"}, AllowDegraded: all()}
	got := confined(t, p, newest(t), attempts{
		"readable": execute(root + "/r/true"), "writable": execute(root + "/w/true"), "elsewhere": execute(root + "/out/true"),
	})
	expect(t, map[string]string{"readable": "ok", "writable": "ok", "elsewhere": "EACCES"}, got)
}

func TestTruncate(t *testing.T) {
	root := tree(t, "r/by-path", "r/by-open", "w/file", "out/file")
	do := attempts{
		"readable, by path":  func() error { return unix.Truncate(root+"/r/by-path", 0) },
		"readable, by open":  open(root+"/r/by-open", unix.O_RDONLY|unix.O_TRUNC),
		"writable":           func() error { return unix.Truncate(root+"/w/file", 0) },
		"elsewhere, by path": func() error { return unix.Truncate(root+"/out/file", 0) },
	}
	p := &policy.Policy{FSReadable: []string{root + "/r"}, FSWritable: []string{root + "/w"}, AllowDegraded: all()}
	t.Run("enforced", func(t *testing.T) {
		needABI(t, 3)
		expect(t, map[string]string{"readable, by path": "EACCES", "readable, by open": "EACCES", "writable": "ok", "elsewhere, by path": "EACCES"},
			confined(t, p, 3, do))
	})
	t.Run("degraded", func(t *testing.T) {
		needABI(t, 1)
		expect(t, map[string]string{"readable, by path": "ok", "readable, by open": "ok", "writable": "ok", "elsewhere, by path": "ok"},
			confined(t, p, 2, do))
	})
}

func TestRefer(t *testing.T) {
	files := []string{"r/file", "w/a/file", "w/b/keep", "w/c", "v/keep"}
	do := func(root string) attempts {
		move := func(from, to string) func() error {
			return func() error { return unix.Rename(root+from, root+to) }
		}
		return attempts{
			"1 within a folder":             move("/w/a/file", "/w/a/renamed"),
			"2 between folders":             move("/w/a/renamed", "/w/b/moved"),
			"3 between grants":              move("/w/b/keep", "/v/moved"),
			"4 from writable to readable":   move("/w/c", "/r/moved"),
			"5 from readable to writable":   move("/r/file", "/w/moved"),
			"6 link a readable to writable": func() error { return unix.Link(root+"/r/file", root+"/w/linked") },
		}
	}
	t.Run("enforced", func(t *testing.T) {
		needABI(t, 2)
		root := tree(t, files...)
		p := &policy.Policy{FSReadable: []string{root + "/r"}, FSWritable: []string{root + "/w", root + "/v"}, AllowDegraded: all()}
		expect(t, map[string]string{"1 within a folder": "ok", "2 between folders": "ok", "3 between grants": "ok",
			"4 from writable to readable": "EACCES", "5 from readable to writable": "EACCES", "6 link a readable to writable": "EXDEV",
		}, confined(t, p, newest(t), do(root)))
	})
	t.Run("degraded", func(t *testing.T) {
		needABI(t, 1)
		root := tree(t, files...)
		p := &policy.Policy{FSReadable: []string{root + "/r"}, FSWritable: []string{root + "/w", root + "/v"}, AllowDegraded: all()}
		expect(t, map[string]string{"1 within a folder": "ok", "2 between folders": "EXDEV", "3 between grants": "EXDEV",
			"4 from writable to readable": "EACCES", "5 from readable to writable": "EACCES", "6 link a readable to writable": "EXDEV",
		}, confined(t, p, 1, do(root)))
	})
}

func TestIoctlOnADevice(t *testing.T) {
	const device = "/dev/urandom"
	do := attempts{"ioctl": func() error {
		fd, err := unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, err = unix.IoctlGetInt(fd, unix.RNDGETENTCNT)
		return err
	}}
	readable := &policy.Policy{FSReadable: []string{device}, AllowDegraded: all()}
	writable := &policy.Policy{FSWritable: []string{device}, AllowDegraded: all()}
	disabled := &policy.Policy{FSReadable: []string{device}, AllowDegraded: all(), Disable: []policy.Protection{policy.FSIoctlDev}}
	needABI(t, 5)
	expect(t, map[string]string{"ioctl": "EACCES"}, confined(t, readable, newest(t), do))
	expect(t, map[string]string{"ioctl": "ok"}, confined(t, writable, newest(t), do))
	expect(t, map[string]string{"ioctl": "ok"}, confined(t, disabled, newest(t), do))
	expect(t, map[string]string{"ioctl": "ok"}, confined(t, readable, 4, do))
}
