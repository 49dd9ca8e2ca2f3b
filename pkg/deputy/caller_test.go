package deputy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
)

func TestOwnCredentialsAreRestored(t *testing.T) {
	d := deputyFor(t, t.TempDir())
	type state struct {
		UID, GID     int
		Groups       []uint32
		Capabilities uint64
		Dumpable     int
	}
	read := func() (s state, err error) {
		own, err := ownCredentials()
		if err != nil {
			return s, err
		}
		s.Dumpable, err = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		s.UID, s.GID, s.Groups, s.Capabilities = own.uid, own.gid, own.groups, own.capabilities
		return s, err
	}
	own, err := ownCredentials()
	if err != nil {
		t.Fatal(err)
	}
	inside(t, d, func() Result {
		before, err := read()
		if err != nil {
			t.Error(err)
		}
		for name, test := range map[string]struct {
			wanted credentials
			may    bool
		}{
			"the same":          {own, true},
			"nobody":            {credentials{uid: 65534, gid: 65534}, own.uid == 0},
			"nobody with group": {credentials{uid: 65534, gid: 65534, groups: []uint32{4112}}, own.uid == 0},
			"all capabilities":  {credentials{uid: own.uid, gid: own.gid, groups: own.groups, capabilities: 1 << 62}, false},
		} {
			if own.uid == test.wanted.uid {
				test.may = name != "all capabilities" && (name == "the same" || own.equal(test.wanted))
			}
			restore, err := assume(caller{credentials: test.wanted, umask: 0o027})
			if (err == nil) != test.may {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil {
				now, err := ownCredentials()
				if err != nil || !now.equal(test.wanted) {
					t.Errorf("%s: assumed %+v, %v", name, now, err)
				}
				restore()
			}
			after, err := read()
			if diff := cmp.Diff(before, after); diff != "" || err != nil {
				t.Errorf("%s (-before +after)\n%s %v", name, diff, err)
			}
		}
		return Result{}
	})
}

func TestStatus(t *testing.T) {
	const whole proc.Status = "Name:\tx\nUmask:\t0027\nTgid:\t12\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nCapPrm:\t000000000000000f\n" +
		"CapEff:\t0000000000000003\n"
	groups := []uint32{9, 10}
	want := caller{process: 12, umask: 0o027, credentials: credentials{4, 8, 2, 6, groups, 3},
		real: credentials{1, 5, 2, 6, groups, 0}}
	got, err := parseStatus(whole)
	allow := cmp.AllowUnexported(caller{}, credentials{})
	if diff := cmp.Diff(want, got, allow); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	if got, err := parseStatus("Name:\tUid:\n" + whole); err != nil || got.uid != 4 {
		t.Errorf("a name that looks like a field: %+v, %v", got, err)
	}
	for name, status := range map[string]proc.Status{
		"nothing": "", "no number": "Tgid:\tx\n", "fields too few": "Tgid:\t1\nUmask:\t0\nUid:\t1\t2\nGid:\t5\t6\t7\t8\nCapEff:\t0\n",
		"a number too large": "Tgid:\t99999999999999999999999\nUmask:\t0\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapEff:\t0\n",
	} {
		if _, err := parseStatus(status); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
