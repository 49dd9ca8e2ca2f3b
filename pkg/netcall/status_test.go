package netcall

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStatus(t *testing.T) {
	const text = "Name:\ta: b\nTgid:\t12\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\nThreads:\t3\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000200\nSigBlk:\t8000000000000000\n"
	got, err := parseStatus(text)
	if err != nil {
		t.Fatal(err)
	}
	want := status{credentials: credentials{12, 1000, 100}, threads: 3, pending: 1, shared: 0x200, blocked: 1 << 63}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(status{}, credentials{})); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{"", "Tgid:\t12\n", text[:20]} {
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
	if s.credentials != (credentials{os.Getpid(), os.Getuid(), os.Getgid()}) || s.threads < 1 {
		t.Errorf("%+v", s)
	}
}

func TestSignalled(t *testing.T) {
	const signal, other = 1 << 9, 1 << 13
	for _, test := range []struct {
		status            status
		certain, possible bool
	}{
		{status{threads: 1}, false, false},
		{status{threads: 2, pending: signal}, true, false},
		{status{threads: 2, pending: signal, blocked: signal}, false, false},
		{status{threads: 2, pending: signal | other, blocked: signal}, true, false},
		{status{threads: 1, shared: signal}, true, true},
		{status{threads: 2, shared: signal}, false, true},
		{status{threads: 2, shared: signal, blocked: signal}, false, false},
	} {
		if certain, possible := test.status.signalled(); certain != test.certain || possible != test.possible {
			t.Errorf("%+v: certain %t, possible %t", test.status, certain, possible)
		}
	}
}
