package landlock

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// socketTree is a folder tree in which "s" is a socket, and "file" a file.
func socketTree(t *testing.T, names ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) == "file" {
			err = os.WriteFile(path, nil, 0o644)
		} else {
			err = unix.Mknod(path, unix.S_IFSOCK|0o600, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestSocketsThatAreGranted(t *testing.T) {
	root := socketTree(t, "run/s", "run/more/s", "run/private/s", "run/secret/s", "alone/s", "alone/t", "runner/s")
	if err := os.Symlink("alone", root+"/link"); err != nil {
		t.Fatal(err)
	}
	s, err := NewSockets(&policy.Policy{
		NetAllow: []string{"unix://" + root + "/run", "unix://" + root + "/link/s", "tcp://*:80"},
		NetDeny:  []string{"unix://" + root + "/run/private"}, FSDenied: []string{root + "/run/secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := make(map[string]bool)
	for _, name := range []string{"/run", "/run/s", "/run/later", "/run/more/s", "/run/private/s", "/run/private", "/run/secret/s",
		"/alone/s", "/alone/t", "/link/s", "/runner/s", ""} {
		got[name] = s.Grants(root + name)
	}
	want := map[string]bool{"/run": true, "/run/s": true, "/run/later": true, "/run/more/s": true, "/run/private/s": false,
		"/run/private": false, "/run/secret/s": false, "/alone/s": true, "/alone/t": false, "/link/s": false, "/runner/s": false, "": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What is no file of a file tree is in no folder, the root folder included.
func TestSocketsOfEverything(t *testing.T) {
	s, err := NewSockets(&policy.Policy{NetAllow: []string{"unix:///"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Grants("/run/s") || s.Grants("socket:[1]") || s.Grants("") {
		t.Error("granted is all that is beneath the root folder, and nothing else")
	}
}

func TestNoSockets(t *testing.T) {
	for _, p := range []*policy.Policy{{}, {NetAllow: []string{"*:*"}}, {NetDeny: []string{"unix:///"}}} {
		if s, err := NewSockets(p); s != nil || err != nil {
			t.Errorf("%+v: %v, %v", p, s, err)
		}
	}
}

// Sockets are made in granted folders, but not beside what is denied in one.
func TestWhereSocketsAreBound(t *testing.T) {
	root := socketTree(t, "run/s", "carved/private/s", "carved/more/s", "carved/s", "alone/s", "out/s")
	s, err := NewSockets(&policy.Policy{
		NetAllow: []string{"unix://" + root + "/run", "unix://" + root + "/carved", "unix://" + root + "/alone/s"},
		NetDeny:  []string{"unix://" + root + "/carved/private"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	do := attempts{}
	for _, folder := range []string{"run", "carved", "carved/private", "carved/more", "alone", "out"} {
		do[folder] = func() error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			return unix.Bind(fd, &unix.SockaddrUnix{Name: root + "/" + folder + "/b"})
		}
	}
	expect(t, map[string]string{"run": "ok", "carved": "EACCES", "carved/private": "EACCES", "carved/more": "ok", "alone": "EACCES",
		"out": "EACCES"}, onConfinedThread(&Ruleset{fd: s.Fd()}, do))
}

func TestWrongSockets(t *testing.T) {
	root := socketTree(t, "file", "run/s")
	before := openFDs(t)
	for _, test := range []struct {
		policy policy.Policy
		want   string
	}{
		{policy.Policy{NetAllow: []string{"unix://" + root + "/nowhere"}},
			`net_allow: "unix://` + root + `/nowhere" does not exist; start its server first, or grant the folder that it will be in`},
		{policy.Policy{NetAllow: []string{"unix://" + root + "/run", "unix://" + root + "/file"}},
			`net_allow: "unix://` + root + `/file" is neither a socket nor a folder; name the socket that a server listens at, or the folder that it is in`},
		{policy.Policy{NetAllow: []string{"unix://~/s"}},
			`net_allow: "unix://~/s" does not exist; write the home folder in full: only shells expand ~`},
		{policy.Policy{NetDeny: []string{"unix://" + root + "/nowhere"}},
			`net_deny: "unix://` + root + `/nowhere" does not exist; create it first, or take it out of the list`},
		{policy.Policy{NetAllow: []string{"unix://" + root}, NetDeny: []string{"unix://" + root + "/run/s"}, FSWritable: []string{root}},
			`net_deny: "unix://` + root + `/run/s" is in fs_writable, where the command can move it to another place; put "` + root +
				`/run/s" in fs_denied as well`},
	} {
		if _, err := NewSockets(&test.policy); err == nil || err.Error() != test.want {
			t.Errorf("error %v\nwant  %s", err, test.want)
		}
	}
	denied := &policy.Policy{NetAllow: []string{"unix://" + root}, NetDeny: []string{"unix://" + root + "/run/s"}, FSWritable: []string{root},
		FSDenied: []string{root + "/run/s"}}
	s, err := NewSockets(denied)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
