package proc

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const sample = "Name:\ta: b\nTgid:\t12\nPPid:\t1\nUid:\t1000\t0\t1\t2\nGroups:\t9 10 \nKthread:\nSigBlk:\t8000000000000000\n"

func TestValues(t *testing.T) {
	for name, want := range map[string][]string{"Tgid": {"12"}, "Uid": {"1000", "0", "1", "2"}, "Groups": {"9", "10"},
		"Kthread": {}, "Tgi": nil, "gid": nil, "Name": nil} {
		if got := Status(sample).Values(name); !cmp.Equal(want, got) && len(want)+len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, test := range []struct {
		name         string
		column, base int
		want         uint64
	}{{"Tgid", 0, 10, 12}, {"Uid", 3, 10, 2}, {"Groups", 1, 10, 10}, {"SigBlk", 0, 16, 1 << 63}} {
		if got, err := Status(sample).Number(test.name, test.column, test.base); got != test.want || err != nil {
			t.Errorf("%+v: %d, %v", test, got, err)
		}
	}
	for name, column := range map[string]int{"Uid": 4, "Kthread": 0, "Umask": 0, "Name": 0} {
		if got, err := Status(sample).Number(name, column, 10); err == nil {
			t.Errorf("value %d of %s is %d", column, name, got)
		}
	}
}

// A task chooses its name; whatever it is, the rest is read.
func FuzzStatus(f *testing.F) {
	f.Add("a: b", sample)
	f.Add("Tgid:\t1", "Tgid:\t99999999999999999999\n")
	f.Add("\rUid:\t0\v", "Uid:\t-1\n\n:\n")
	_, rest, _ := strings.Cut(sample, "\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		if _, err := Status(text).Number("Tgid", 0, 10); err == nil && !strings.Contains(text, "Tgid:") {
			t.Errorf("%q has a process", text)
		}
		named := Status("Name:\t" + strings.ReplaceAll(name, "\n", `\n`) + "\n" + rest)
		for _, field := range []string{"Tgid", "PPid", "Uid", "Groups", "SigBlk", "Umask"} {
			if want, got := Status(sample).Values(field), named.Values(field); !cmp.Equal(want, got) {
				t.Errorf("%s of a task named %q is %q", field, name, got)
			}
		}
	})
}

func TestLineage(t *testing.T) {
	process, parent, err := Lineage(unix.Gettid())
	if process != os.Getpid() || parent != os.Getppid() || err != nil {
		t.Errorf("%d, below %d, %v", process, parent, err)
	}
	if _, _, err := Lineage(math.MaxInt32); !errors.Is(err, fs.ErrNotExist) { // beyond what pid_max can be
		t.Errorf("a task that is none: %v", err)
	}
}

func TestAwaitEnd(t *testing.T) {
	command := exec.Command("cat")
	in, err := command.StdinPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	pidfd, err := unix.PidfdOpen(command.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	in.Close()
	if err := AwaitEnd(pidfd); err != nil {
		t.Error(err)
	}
	if ended, err := unix.Wait4(command.Process.Pid, nil, unix.WNOHANG, nil); ended != command.Process.Pid {
		t.Errorf("it has not ended: %d, %v", ended, err)
	}
}

// How long it takes counts for each call that the deputy performs.
func BenchmarkLineage(b *testing.B) {
	for b.Loop() {
		if _, _, err := Lineage(os.Getpid()); err != nil {
			b.Fatal(err)
		}
	}
}
