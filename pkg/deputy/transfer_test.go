package deputy_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// transferring decides to perform calls on descriptors, of so many bytes at most. What cannot be is ENOTSUP, and what
// would wait EALREADY.
func transferring(most int) decision {
	return func(d *deputy.Deputy, n *notify.Notification) (*deputy.Result, supervise.Action) {
		result, err := d.Transfer(n, most)
		switch {
		case errors.Is(err, deputy.ErrUnsupported):
			return nil, supervise.Fail(unix.ENOTSUP)
		case err != nil:
			return nil, supervise.Kill(unix.SIGKILL, 0)
		case result.Awaited >= 0:
			unix.Close(result.Awaited)
			return nil, supervise.Fail(unix.EALREADY)
		}
		return &deputy.Result{FD: -1, Value: result.Value, Errno: result.Errno}, supervise.Action{}
	}
}

// transferred are the calls that the tests have performed. The Go runtime makes none of them with the mark.
var transferred = []string{
	"read", "pread64", "recvfrom", "write", "pwrite64", "lseek", "fstat", "getrandom", "uname", "getppid",
}

const badAddress = 8

func TestTransfers(t *testing.T) {
	opened := do(unix.SYS_OPENAT, unix.AT_FDCWD, "letters", unix.O_RDONLY)
	forWriting := do(unix.SYS_OPENAT, unix.AT_FDCWD, "written", unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND, 0o600)
	for name, test := range map[string]struct {
		most  int
		steps []step
		want  []outcome // of the steps after the first
	}{
		"short reads go on where the last one ended": {3, []step{opened,
			do(unix.SYS_READ, back{1}, buffer{8}, 8), do(unix.SYS_READ, back{2}, buffer{8}, 8),
			do(unix.SYS_READ, back{3}, buffer{2}, 2), do(unix.SYS_LSEEK, back{4}, 0, unix.SEEK_CUR),
		}, []outcome{{3, "", "abc"}, {3, "", "def"}, {2, "", "gh"}, {0, "ENOTSUP", ""}}},
		"a whole read": {0, []step{opened,
			do(unix.SYS_READ, back{1}, buffer{100}, 100), do(unix.SYS_READ, back{2}, buffer{100}, 100),
			do(unix.SYS_LSEEK, back{3}, 0, unix.SEEK_CUR),
		}, []outcome{{26, "", letters}, {0, "", ""}, {26, "", ""}}},
		"pread leaves the position": {4, []step{opened,
			do(unix.SYS_PREAD64, back{1}, buffer{8}, 8, 2), do(unix.SYS_READ, back{2}, buffer{8}, 8),
			do(unix.SYS_PREAD64, back{3}, buffer{8}, 8, -1), do(unix.SYS_PREAD64, back{4}, buffer{8}, 8, 100),
		}, []outcome{{4, "", "cdef"}, {4, "", "abcd"}, {-1, "EINVAL", ""}, {0, "", ""}}},
		"errors": {1, []step{forWriting,
			do(unix.SYS_READ, back{1}, buffer{8}, 8), do(unix.SYS_READ, 999, buffer{8}, 8), do(unix.SYS_READ, -1, buffer{8}, 8),
			do(unix.SYS_RECVFROM, back{4}, buffer{8}, 8, 0, 0), do(unix.SYS_WRITE, back{5}, badAddress, 8),
		}, []outcome{{-1, "EBADF", ""}, {-1, "EBADF", ""}, {-1, "EBADF", ""}, {-1, "ENOTSOCK", ""}, {-1, "EFAULT", ""}}},
		"memory that cannot be written": {0, []step{opened,
			do(unix.SYS_READ, back{1}, badAddress, 8), do(unix.SYS_FSTAT, back{2}, badAddress), do(unix.SYS_GETRANDOM, badAddress, 8, 0),
			do(unix.SYS_UNAME, badAddress),
		}, []outcome{{-1, "EFAULT", ""}, {-1, "EFAULT", ""}, {-1, "EFAULT", ""}, {-1, "EFAULT", ""}}},
		"a directory": {1, []step{do(unix.SYS_OPENAT, unix.AT_FDCWD, ".", unix.O_RDONLY),
			do(unix.SYS_READ, back{1}, buffer{8}, 8),
		}, []outcome{{-1, "EISDIR", ""}}},
		"short writes are appended": {2, []step{forWriting,
			do(unix.SYS_WRITE, back{1}, "xyz", 3), do(unix.SYS_WRITE, back{2}, "123", 3), do(unix.SYS_WRITE, back{3}, "-", 1),
		}, []outcome{{2, "", ""}, {2, "", ""}, {1, "", ""}}},
		"a pipe": {2, []step{do(unix.SYS_GETPID),
			do(unix.SYS_WRITE, 2, "xyz", 3), do(unix.SYS_PWRITE64, 2, "xyz", 3, 0), do(unix.SYS_PREAD64, 2, buffer{8}, 8, 0),
		}, []outcome{{2, "", ""}, {-1, "ESPIPE", ""}, {-1, "ESPIPE", ""}}},
		"a limit for files is the task's own": {2, []step{forWriting,
			do(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_FSIZE, string([]byte{15: 0, 0: 16, 8: 16}), 0),
			do(unix.SYS_WRITE, back{2}, "xyz", 3),
		}, []outcome{{0, "", ""}, {-1, "ENOTSUP", ""}}},
		"others": {0, []step{do(unix.SYS_EVENTFD2, 0, 0),
			do(unix.SYS_READ, back{1}, buffer{8}, 8), do(unix.SYS_GETPPID),
		}, []outcome{{-1, "ENOTSUP", ""}, {-1, "ENOTSUP", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := grants{cwd: t.TempDir()}
			if err := os.WriteFile(filepath.Join(g.cwd, "letters"), []byte(letters), 0o600); err != nil {
				t.Fatal(err)
			}
			got := start(t, g, transferred, transferring(test.most), test.steps...).finish(t)
			for i := range test.want {
				if test.want[i].Error != "" {
					test.want[i].Result = -1
				}
			}
			if diff := cmp.Diff(test.want, got[1:]); diff != "" {
				t.Error(diff)
			}
			if name == "short writes are appended" {
				if text, err := os.ReadFile(filepath.Join(g.cwd, "written")); err != nil || string(text) != "xy12-" {
					t.Errorf("the file has %q, %v", text, err)
				}
			}
		})
	}
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// A read larger than a piece comes whole, and what it gives is what the kernel gives.
func TestTransferOfAPieceAndMore(t *testing.T) {
	g := grants{cwd: t.TempDir()}
	content := bytes.Repeat([]byte(letters), 100_000)
	if err := os.WriteFile(filepath.Join(g.cwd, "large"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	got := start(t, g, transferred, transferring(0),
		do(unix.SYS_OPENAT, unix.AT_FDCWD, "large", unix.O_RDONLY),
		do(unix.SYS_READ, back{1}, buffer{len(content)}, len(content)),
	).finish(t)
	if got[1].Result != int64(len(content)) || got[1].Data != string(content) {
		t.Errorf("%d of %d bytes", got[1].Result, len(content))
	}
}

// fstat and uname give what the kernel gives, getrandom as much as was asked for.
func TestTransfersWithoutData(t *testing.T) {
	g := grants{cwd: t.TempDir()}
	steps := []step{
		do(unix.SYS_OPENAT, unix.AT_FDCWD, ".", unix.O_RDONLY),
		do(unix.SYS_FSTAT, back{1}, buffer{int(unsafe.Sizeof(unix.Stat_t{}))}),
		do(unix.SYS_UNAME, buffer{int(unsafe.Sizeof(unix.Utsname{}))}),
	}
	bare := start(t, g, nil, nil, steps...).finish(t)
	if diff := cmp.Diff(bare[1:], start(t, g, transferred, transferring(0), steps...).finish(t)[1:]); diff != "" {
		t.Error(diff)
	}
	random := start(t, g, transferred, transferring(0), do(unix.SYS_GETRANDOM, buffer{100}, 100, 0)).finish(t)
	if random[0].Result != 100 || random[0].Data == "" {
		t.Errorf("%+v", random[0])
	}
}
