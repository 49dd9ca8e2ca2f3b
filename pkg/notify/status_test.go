package notify

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/proc"
)

func TestParseStatus(t *testing.T) {
	const text proc.Status = "Name:\ta: b\nTgid:\t12\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\nThreads:\t3\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000200\nSigBlk:\t8000000000000000\n"
	got, err := parseStatus(text)
	if err != nil {
		t.Fatal(err)
	}
	want := Status{Process: 12, UID: 1000, GID: 100, threads: 3, pending: 1, shared: 0x200, blocked: 1 << 63}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Status{})); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []proc.Status{"", "Tgid:\t12\n", text[:20]} {
		if _, err := parseStatus(wrong); err == nil {
			t.Errorf("%q has a status", wrong)
		}
	}
}

func TestStatusOfOurselves(t *testing.T) {
	s, err := statusOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if want := [3]int{os.Getpid(), os.Getuid(), os.Getgid()}; [3]int{s.Process, s.UID, s.GID} != want || s.threads < 1 {
		t.Errorf("%+v", s)
	}
}

func TestSignalled(t *testing.T) {
	const signal, other = 1 << 9, 1 << 13
	free, blocking := Status{}, Status{blocked: signal}
	for _, test := range []struct {
		status            Status
		others            []Status
		certain, possible bool
	}{
		{Status{}, nil, false, false},
		{Status{pending: signal}, []Status{free}, true, false},
		{Status{pending: signal, blocked: signal}, []Status{free}, false, false},
		{Status{pending: signal | other, blocked: signal}, []Status{free}, true, false},
		{Status{shared: signal}, nil, true, true},
		{Status{shared: signal}, []Status{free}, false, true},
		{Status{shared: signal}, []Status{blocking}, true, true},
		{Status{shared: signal}, []Status{blocking, free}, false, true},
		{Status{shared: signal | other}, []Status{blocking}, true, true},
		{Status{shared: other}, []Status{blocking}, false, true},
		{Status{shared: signal, blocked: signal}, []Status{blocking}, false, false},
	} {
		if certain, possible := test.status.signalled(test.others); certain != test.certain || possible != test.possible {
			t.Errorf("%+v beside %+v: certain %t, possible %t", test.status, test.others, certain, possible)
		}
	}
}

func TestThreadsBesideOurselves(t *testing.T) {
	s, err := statusOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	others := s.beside(os.Getpid())
	if len(others) == 0 {
		t.Error("a Go program has several threads")
	}
	for _, other := range others {
		if other.Process != os.Getpid() {
			t.Errorf("%+v", other)
		}
	}
}
