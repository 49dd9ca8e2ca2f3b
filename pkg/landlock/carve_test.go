package landlock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// carvedTree makes the files for the tests of fs_denied:
//
//	a/file  a/secret  a/sub/file  b/key/file  b/key/deep/file  b/file  c/file
//	link -> b/key  hard, c/hard: other names of a/secret
func carvedTree(t *testing.T) string {
	root := tree(t, "a/file", "a/secret", "a/sub/file", "b/key/file", "b/key/deep/file", "b/file", "c/file")
	if err := os.Symlink("b/key", root+"/link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/hard", "/c/hard"} {
		if err := os.Link(root+"/a/secret", root+name); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestDeniedFile(t *testing.T) {
	root := carvedTree(t)
	p := &policy.Policy{FSWritable: []string{root}, FSDenied: []string{root + "/a/secret"}, AllowDegraded: all()}
	got := confined(t, p, newest(t), attempts{
		"01 read it":                       read(root + "/a/secret"),
		"02 write it":                      write(root + "/a/secret"),
		"03 remove it":                     func() error { return unix.Unlink(root + "/a/secret") },
		"04 move it away":                  func() error { return unix.Rename(root+"/a/secret", root+"/c/secret") },
		"05 move its folder":               func() error { return unix.Rename(root+"/a", root+"/c/a") },
		"06 move the folder around":        func() error { return unix.Rename(root, root+"2") },
		"07 swap its folder":               func() error { return unix.Renameat2(-100, root+"/a", -100, root+"/c", unix.RENAME_EXCHANGE) },
		"08 link to it":                    func() error { return unix.Link(root+"/a/secret", root+"/c/new") },
		"09 its name beside the folders":   read(root + "/hard"),
		"10 list its folder":               listed(root + "/a"),
		"11 list the folder around":        listed(root),
		"12 create beside it":              create(root + "/a/new"),
		"13 create beside its folder":      create(root + "/new"),
		"14 write a file beside it":        write(root + "/a/file"),
		"15 create in a folder beside it":  create(root + "/a/sub/new"),
		"16 create in another folder":      create(root + "/b/key/deep/new"),
		"17 move between folders beside":   func() error { return unix.Rename(root+"/c/file", root+"/a/sub/moved") },
		"18 by a path with dots":           read(root + "/c/../a/./secret"),
		"19 remove a file beside it":       func() error { return unix.Unlink(root + "/a/file") },
		"20 not covered: another hardlink": read(root + "/c/hard"),
	})
	expect(t, map[string]string{
		"01 read it":                       "EACCES",
		"02 write it":                      "EACCES",
		"03 remove it":                     "EACCES",
		"04 move it away":                  "EACCES",
		"05 move its folder":               "EACCES",
		"06 move the folder around":        "EACCES",
		"07 swap its folder":               "EACCES",
		"08 link to it":                    "EXDEV",
		"09 its name beside the folders":   "EACCES",
		"10 list its folder":               "ok",
		"11 list the folder around":        "ok",
		"12 create beside it":              "EACCES",
		"13 create beside its folder":      "EACCES",
		"14 write a file beside it":        "ok",
		"15 create in a folder beside it":  "ok",
		"16 create in another folder":      "ok",
		"17 move between folders beside":   "ok",
		"18 by a path with dots":           "EACCES",
		"19 remove a file beside it":       "EACCES",
		"20 not covered: another hardlink": "ok",
	}, got)
}

func TestDeniedFolder(t *testing.T) {
	for spelling, denied := range map[string]func(root string) string{
		"itself":             func(root string) string { return root + "/b/key" },
		"by a symbolic link": func(root string) string { return root + "/link" },
		"by a detour":        func(root string) string { return root + "/link/../key/" },
	} {
		t.Run(spelling, func(t *testing.T) {
			root := carvedTree(t)
			p := &policy.Policy{FSReadable: []string{root}, FSWritable: []string{root + "/b"}, FSDenied: []string{denied(root)}, AllowDegraded: all()}
			got := confined(t, p, newest(t), attempts{
				"read in it":            read(root + "/b/key/file"),
				"read deep in it":       read(root + "/b/key/deep/file"),
				"read by the link":      read(root + "/link/file"),
				"create in it":          create(root + "/b/key/new"),
				"list it":               listed(root + "/b/key"),
				"list its folder":       listed(root + "/b"),
				"list the folder above": listed(root),
				"list beside":           listed(root + "/a"),
				"read beside":           read(root + "/a/secret"),
				"write beside":          write(root + "/b/file"),
				"remove it":             func() error { return unix.Rmdir(root + "/b/key/deep") },
				"replace the link":      func() error { return unix.Unlink(root + "/link") },
			})
			expect(t, map[string]string{
				"read in it":            "EACCES",
				"read deep in it":       "EACCES",
				"read by the link":      "EACCES",
				"create in it":          "EACCES",
				"list it":               "EACCES",
				"list its folder":       "EACCES",
				"list the folder above": "EACCES",
				"list beside":           "ok",
				"read beside":           "ok",
				"write beside":          "ok",
				"remove it":             "EACCES",
				"replace the link":      "EACCES",
			}, got)
		})
	}
}

func TestDeniedWins(t *testing.T) {
	do := func(root string) attempts {
		return attempts{
			"a/file": read(root + "/a/file"), "a/secret": read(root + "/a/secret"), "a/sub/file": read(root + "/a/sub/file"),
			"b/file": read(root + "/b/file"), "b/key/file": read(root + "/b/key/file"), "c/hard": read(root + "/c/hard"),
			"list a": listed(root + "/a"), "list b": listed(root + "/b"), "list c": listed(root + "/c"), "list all": listed(root),
		}
	}
	reachable := func(names ...string) map[string]string {
		want := map[string]string{}
		for name := range do("") {
			want[name] = "EACCES"
		}
		for _, name := range names {
			want[name] = "ok"
		}
		return want
	}
	for name, test := range map[string]struct {
		readable, writable, denied []string
		want                       map[string]string
	}{
		"over the same path":         {[]string{"/a", "/c"}, []string{"/a"}, []string{"/a"}, reachable("c/hard", "list c")},
		"over a path beneath":        {[]string{"/a/sub", "/a/file", "/b"}, nil, []string{"/a"}, reachable("b/file", "b/key/file", "list b")},
		"over another of its names":  {[]string{"/c/hard", "/a"}, nil, []string{"/a/secret"}, reachable("a/file", "a/sub/file", "list a")},
		"over a link to it":          {[]string{"/link", "/c"}, nil, []string{"/b/key"}, reachable("c/hard", "list c")},
		"over a root":                {[]string{"/"}, []string{"/"}, []string{"/"}, reachable()},
		"several under several":      {[]string{"/", "/c"}, []string{"/b", "/a/sub"}, []string{"/b/key", "/a/secret"}, reachable("a/file", "a/sub/file", "b/file", "c/hard", "list a", "list c")},
		"one beneath another":        {[]string{"/"}, nil, []string{"/b/key/file", "/b/key", "/b"}, reachable("a/file", "a/secret", "a/sub/file", "c/hard", "list a", "list c")},
		"outside of every grant":     {[]string{"/a", "/c"}, nil, []string{"/b/key"}, reachable("a/file", "a/secret", "a/sub/file", "c/hard", "list a", "list c")},
		"files only":                 {[]string{"/"}, nil, []string{"/b/file", "/a/secret"}, reachable("a/file", "a/sub/file", "b/key/file", "c/hard", "list a", "list b", "list c", "list all")},
		"twice, over the same grant": {[]string{"/a", "/a"}, nil, []string{"/a/secret", "/a/secret"}, reachable("a/file", "a/sub/file", "list a")},
	} {
		t.Run(name, func(t *testing.T) {
			root := carvedTree(t)
			beneath := func(names []string) (paths []string) {
				for _, name := range names {
					paths = append(paths, root+name)
				}
				return paths
			}
			p := &policy.Policy{FSReadable: beneath(test.readable), FSWritable: beneath(test.writable), FSDenied: beneath(test.denied), AllowDegraded: all()}
			expect(t, test.want, confined(t, p, newest(t), do(root)))
		})
	}
}

func TestDeniedBeneathTheRootFolder(t *testing.T) {
	root := carvedTree(t)
	p := &policy.Policy{FSReadable: []string{"/"}, FSDenied: []string{root + "/b/key", "/proc"}, AllowDegraded: all()}
	got := confined(t, p, newest(t), attempts{
		"denied": read(root + "/b/key/file"), "beside": read(root + "/b/file"), "proc": read("/proc/self/status"),
		"program": execute("/bin/true"), "list root": listed("/"), "list temporary": listed(filepath.Dir(root)),
	})
	expect(t, map[string]string{"denied": "EACCES", "beside": "ok", "proc": "EACCES", "program": "ok",
		"list root": "EACCES", "list temporary": "EACCES"}, got)
}

// A link beside the way to what is denied must not spread the rights to what it leads to.
func TestLinksInACarvedFolderAreNotFollowed(t *testing.T) {
	outside := tree(t, "file")
	root := carvedTree(t)
	if err := os.Symlink(outside, root+"/a/outside"); err != nil {
		t.Fatal(err)
	}
	p := &policy.Policy{FSWritable: []string{root}, FSDenied: []string{root + "/a/secret"}, AllowDegraded: all()}
	expect(t, map[string]string{"read": "EACCES", "list": "EACCES"},
		confined(t, p, newest(t), attempts{"read": read(root + "/a/outside/file"), "list": listed(outside)}))
}

// What the kernel calls "NAME (deleted)" must not be taken for another file of that very name.
func TestDeniedThatWasDeleted(t *testing.T) {
	root := tree(t, "gone/file", "gone (deleted)")
	t.Chdir(root + "/gone")
	if err := os.RemoveAll(root + "/gone"); err != nil {
		t.Fatal(err)
	}
	checkPathError(t, "fs_denied", ".", fmt.Sprintf("cannot be found by its real path %q", root+"/gone (deleted)"), unix.ESTALE, newest(t))
	if err := os.Remove(root + "/gone (deleted)"); err != nil {
		t.Fatal(err)
	}
	checkPathError(t, "fs_denied", ".", fmt.Sprintf("cannot be found by its real path %q", root+"/gone (deleted)"), unix.ENOENT, newest(t))
}

func TestEntriesThatAppearLaterAreOutOfReach(t *testing.T) {
	root := carvedTree(t)
	ruleset, err := Build(&policy.Policy{FSReadable: []string{root}, FSDenied: []string{root + "/a/secret"}, AllowDegraded: all()}, newest(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ruleset.Close()
	for _, later := range []string{"/later", "/a/later", "/a/sub/later"} {
		if err := os.WriteFile(root+later, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, map[string]string{"around": "EACCES", "beside": "EACCES", "in a folder beside": "ok"}, onConfinedThread(ruleset, attempts{
		"around": read(root + "/later"), "beside": read(root + "/a/later"), "in a folder beside": read(root + "/a/sub/later"),
	}))
}

func TestDeniedBeneathAFolderThatCannotBeListed(t *testing.T) {
	if unix.Geteuid() == 0 {
		t.Skip("root may list every folder")
	}
	root := carvedTree(t)
	if err := os.Chmod(root+"/b", 0o311); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(root+"/b", 0o700) })
	_, err := Build(&policy.Policy{FSReadable: []string{root}, FSDenied: []string{root + "/b/key"}, AllowDegraded: all()}, newest(t))
	var fault *policy.Error
	if !errors.As(err, &fault) || fault.Field != "fs_denied" || fault.Value != root+"/b/key" || !errors.Is(err, unix.EACCES) {
		t.Errorf("error %v, want a *policy.Error about fs_denied", err)
	}
}
