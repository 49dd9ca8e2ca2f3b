package sandbox_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/limits"
)

func TestMaxOpenFiles(t *testing.T) {
	ulimit := shell("ulimit -Sn; ulimit -Hn")
	limit := uint64(20)
	s := newSandbox()
	s.Policy.MaxOpenFiles = &limit
	want := exited(0, "20\n20\n")
	want.Limits = map[string]limits.Mechanism{"max_open_files": limits.Rlimit}
	expect(t, want, run(t, s, ulimit))
	// More than the host may have is as much as it may have.
	var host unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &host); err != nil {
		t.Fatal(err)
	}
	own := run(t, newSandbox(), shell("ulimit -Hn; ulimit -Hn"))
	own.Limits = want.Limits
	limit = 1 << 30
	expect(t, own, run(t, s, ulimit))
}

func TestMaxOpenFilesIsEnforced(t *testing.T) {
	limit := uint64(6)
	s := newSandbox()
	s.Policy.MaxOpenFiles = &limit
	result := run(t, s, shell("exec 3</etc/passwd 4<&3 5<&3; exec 6<&3 || exit 9"))
	if result.ExitCode == 0 {
		t.Errorf("descriptor 6 was opened: %q", result.Stderr)
	}
}

// One byte and not zero: see policy.Rlimits.
func TestNoCoreDump(t *testing.T) {
	result := run(t, newSandbox("/proc"), command("grep", "core file size", "/proc/self/limits"))
	want := []string{"Max", "core", "file", "size", "1", "1", "bytes"}
	if diff := cmp.Diff(want, strings.Fields(string(result.Stdout))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
