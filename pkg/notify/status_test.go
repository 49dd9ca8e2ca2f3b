package notify

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseStatus(t *testing.T) {
	const text = "Name:\ta: b\nTgid:\t12\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\nThreads:\t3\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000200\nSigBlk:\t8000000000000000\n"
	got, err := parseStatus(text)
	if err != nil {
		t.Fatal(err)
	}
	want := Status{Process: 12, UID: 1000, GID: 100, threads: 3, pending: 1, shared: 0x200, blocked: 1 << 63}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Status{})); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{"", "Tgid:\t12\n", text[:20]} {
		if _, err := parseStatus(wrong); err == nil {
			t.Errorf("%q has a status", wrong)
		}
	}
}

// A task chooses its name, of which the kernel shows newlines as \\n (proc_task_name). Whatever it is, the rest is read.
func FuzzParseStatus(f *testing.F) {
	const rest = "\nTgid:\t12\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\nThreads:\t3\nSigPnd:\t1\nShdPnd:\t0\nSigBlk:\tff\n"
	want, err := parseStatus("Name:\ta" + rest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a: b", rest)
	f.Add("Tgid:\t1", "Tgid:\t99999999999999999999\n")
	f.Add("\rUid:\t0\v", "Uid:\t-1\n\n:\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		if _, err := parseStatus(text); err == nil && !strings.Contains(text, "Tgid:") {
			t.Errorf("%q has a status", text)
		}
		got, err := parseStatus("Name:\t" + strings.ReplaceAll(name, "\n", `\n`) + rest)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Status{})); diff != "" || err != nil {
			t.Errorf("a task named %q: %v %s", name, err, diff)
		}
	})
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
