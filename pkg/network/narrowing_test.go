package network

import (
	"errors"
	"net/netip"
	"testing"
)

func TestNarrowing(t *testing.T) {
	prefix := func(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
	// 10 is the command and 11 its child; 12 is a child of 11, 13 an orphan, 14 is gone.
	parents := map[int]int{10: 1000, 11: 10, 12: 11, 13: 1000}
	lineage := func(process int) (int, int, error) {
		if parent, ok := parents[process]; ok {
			return process, parent, nil
		}
		return 0, 0, errors.New("gone")
	}
	all := []int{10, 11, 12, 13, 14}
	for name, test := range map[string]struct {
		narrow func(*Narrowing)
		peer   string
		want   []int // who may reach it
	}{
		"nothing":               {func(*Narrowing) {}, "192.0.2.1", all},
		"everybody":             {func(x *Narrowing) { x.Restrict(prefix("192.0.2.0/24")) }, "192.0.2.1", all},
		"everybody else":        {func(x *Narrowing) { x.Restrict(prefix("192.0.2.0/24")) }, "198.51.100.1", nil},
		"mapped":                {func(x *Narrowing) { x.Restrict(prefix("192.0.2.0/24")) }, "::ffff:192.0.2.1", all},
		"a zone":                {func(x *Narrowing) { x.Restrict(prefix("fe80::/10")) }, "fe80::1%eth0", all},
		"to nothing":            {func(x *Narrowing) { x.Restrict(nil) }, "192.0.2.1", nil},
		"granted again":         {func(x *Narrowing) { x.Restrict(nil); x.Grant(prefix("192.0.2.1/32")) }, "192.0.2.1", all},
		"granted beforehand":    {func(x *Narrowing) { x.Grant(prefix("192.0.2.1/32")) }, "198.51.100.1", all},
		"a process":             {func(x *Narrowing) { x.RestrictProcess(11, prefix("192.0.2.1/32")) }, "192.0.2.1", all},
		"a process, elsewhere":  {func(x *Narrowing) { x.RestrictProcess(11, prefix("192.0.2.1/32")) }, "192.0.2.2", []int{10}},
		"a child":               {func(x *Narrowing) { x.RestrictProcess(12, nil) }, "192.0.2.2", []int{10, 11}},
		"all of the tree":       {func(x *Narrowing) { x.RestrictProcess(10, nil) }, "192.0.2.2", nil},
		"a process that is not": {func(x *Narrowing) { x.RestrictProcess(99, nil) }, "192.0.2.2", []int{10, 11, 12}},
		"both": {func(x *Narrowing) {
			x.Restrict(prefix("192.0.2.0/24"))
			x.RestrictProcess(11, prefix("192.0.2.1/32"))
		}, "192.0.2.2", []int{10}},
	} {
		t.Run(name, func(t *testing.T) {
			x := NewNarrowing(lineage)
			x.Begin(1000, 10)
			test.narrow(x)
			may := make(map[int]bool)
			for _, process := range test.want {
				may[process] = true
			}
			for _, process := range all {
				if got := x.MayReach(process, netip.MustParseAddr(test.peer)); got != may[process] {
					t.Errorf("process %d may reach %s: %t", process, test.peer, got)
				}
			}
		})
	}
}

// The parent ends while the way up is gone, and its number is used again for a child of the command.
func TestAParentThatEnds(t *testing.T) {
	parents := map[int]int{10: 1000, 11: 10, 12: 11, 13: 12}
	x := NewNarrowing(func(process int) (int, int, error) {
		parent := parents[process]
		if process == 13 {
			parents[13], parents[12] = 1000, 10
		}
		return process, parent, nil
	})
	x.Begin(1000, 10)
	x.RestrictProcess(11, nil)
	if x.MayReach(13, netip.MustParseAddr("192.0.2.1")) {
		t.Error("a descendant of the restricted process may reach it")
	}
}

func TestExpectations(t *testing.T) {
	x := NewNarrowing(nil)
	x.Expect(7, 1, "here")
	for _, test := range []struct {
		task    int
		call    uint64
		address string
		want    bool
	}{
		{7, 1, "here", true},
		{7, 1, "there", false},
		{7, 1, "", false},
		{7, 2, "there", true}, // nobody has judged that call
		{8, 1, "there", true},
	} {
		if got := x.Expects(test.task, test.call, test.address); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
	x.Forget(7, 2)
	if x.Expects(7, 1, "there") {
		t.Error("another call's end made it forget")
	}
	x.Forget(7, 1)
	if !x.Expects(7, 1, "there") {
		t.Error("it was not forgotten")
	}
}
