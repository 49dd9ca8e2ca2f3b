package landlock

import (
	"os"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

func TestParseMounts(t *testing.T) {
	got, err := parseMounts("22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n" +
		"30 22 8:1 /a\\040b\\134 /mnt/x\\011y rw - ext4 /dev/root rw\n" +
		"31 22 0:4 net:[4026531840] /run/\u00a0netns rw - nsfs nsfs rw\n")
	if err != nil {
		t.Fatal(err)
	}
	want := mountTable{
		{22, "8:1", "/", "/"},
		{30, "8:1", `/a b\`, "/mnt/x\ty"},
		{31, "0:4", "net:[4026531840]", "/run/\u00a0netns"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mount{})); diff != "" {
		t.Errorf("parseMounts (-want +got):\n%s", diff)
	}
	for _, text := range []string{"22 1 8:1 /\n", "x 1 8:1 / / rw\n", "\n"} {
		if _, err := parseMounts(text); err == nil {
			t.Errorf("parseMounts(%q) succeeded", text)
		}
	}
}

func TestAliases(t *testing.T) {
	table := mountTable{
		{1, "8:1", "/", "/"},
		{2, "8:1", "/home", "/var/home"},
		{3, "8:1", "/home/u/.ssh", "/mnt/ssh"},
		{4, "8:2", "/", "/data"},
		{5, "8:2", "/", "/home/u/data"},
		{6, "8:1", "/homestead", "/mnt/other"},
		{7, "0:9", "/@home/u", "/btrfs/u"},
		{8, "0:9", "/", "/btrfs/top"},
	}
	for _, test := range []struct {
		path  string
		mount uint64
		want  []alias
	}{
		{"/home/u/.ssh", 1, []alias{{"/var/home/u/.ssh", 2}, {"/mnt/ssh", 3}}},
		{"/home/u/.ssh/key", 1, []alias{{"/var/home/u/.ssh/key", 2}, {"/mnt/ssh/key", 3}}},
		{"/var/home/u", 2, []alias{{"/home/u", 1}, {"/mnt/ssh", 3}}},
		{"/home", 1, []alias{{"/var/home", 2}, {"/mnt/ssh", 3}, {"/data", 4}}},
		{"/data/x", 4, []alias{{"/home/u/data/x", 5}}},
		{"/btrfs/u/f", 7, []alias{{"/btrfs/top/@home/u/f", 8}}},
		{"/usr", 1, nil},
	} {
		got, err := table.aliases(test.path, test.mount)
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(alias{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.path, diff)
		}
	}
	if _, err := table.aliases("/usr", 99); err == nil {
		t.Error("a path in an unknown mount has known aliases")
	}
}

// A thread in a mount namespace of its own sees the denied folder, and what is around it and beneath, in other places.
func TestDeniedWhereverItIsMounted(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("a thread of its own mounts only as root")
	}
	abi := newest(t)
	root := carvedTree(t)
	for _, point := range []string{"/c/key", "/c/around", "/c/deep", "/c/beside"} {
		if err := os.Mkdir(root+point, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	do := attempts{
		"it":                    read(root + "/c/key/file"),
		"the folder around it":  read(root + "/c/around/key/file"),
		"beside it, there":      read(root + "/c/around/file"),
		"a part of it":          read(root + "/c/deep/file"),
		"a folder that is free": read(root + "/c/beside/file"),
		"in its own place":      read(root + "/b/key/file"),
	}
	type result struct {
		got map[string]string
		err error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread()
		var r result
		defer func() { results <- r }()
		if r.err = unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); r.err != nil {
			return
		}
		if r.err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); r.err != nil {
			return
		}
		for point, source := range map[string]string{"/c/key": "/b/key", "/c/around": "/b", "/c/deep": "/b/key/deep", "/c/beside": "/a"} {
			if r.err = unix.Mount(root+source, root+point, "", unix.MS_BIND, ""); r.err != nil {
				return
			}
		}
		ruleset, err := Build(&policy.Policy{FSReadable: []string{root}, FSDenied: []string{root + "/b/key"}, AllowDegraded: all()}, abi)
		if r.err = err; err != nil {
			return
		}
		defer ruleset.Close()
		r.got = restricted(ruleset, do)
	}()
	r := <-results
	if r.err != nil {
		t.Fatal(r.err)
	}
	expect(t, map[string]string{
		"it":                    "EACCES",
		"the folder around it":  "EACCES",
		"beside it, there":      "ok",
		"a part of it":          "EACCES",
		"a folder that is free": "ok",
		"in its own place":      "EACCES",
	}, r.got)
}
