package kernel

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
)

// The seam for older kernels is the number of their Landlock ABI.
func TestProtections(t *testing.T) {
	names := []string{"FS_REFER", "FS_TRUNCATE", "NET_TCP", "FS_IOCTL_DEV", "SIGNAL_SCOPE", "ABSTRACT_UNIX_SOCKET_SCOPE"}
	for abi, count := range map[int]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 6, 99: 6} {
		t.Run(fmt.Sprintf("ABI %d", abi), func(t *testing.T) {
			got := map[string]bool{}
			for _, p := range protections(abi) {
				got[p.Name] = p.Available
				if p.Linux == "" || p.Without == "" {
					t.Errorf("%+v says too little", p)
				}
			}
			want := map[string]bool{}
			for i, name := range names {
				want[name] = i < count
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("protections (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	r := Detect()
	abi, err := landlock.ABI()
	if r.LandlockABI != abi || (err == nil) != (r.Landlock == "") {
		t.Errorf("ABI %d (%s), want %d (%v)", r.LandlockABI, r.Landlock, abi, err)
	}
	uname, err := exec.Command("uname", "-r").Output()
	if err != nil {
		t.Fatal(err)
	}
	if r.Release+"\n" != string(uname) {
		t.Errorf("release %q, want %q", r.Release, uname)
	}
	for _, f := range r.Features {
		if f.Name == "" || f.Linux == "" || f.Without == "" {
			t.Errorf("%+v says too little", f)
		}
	}
}

func TestProbesLeaveNothing(t *testing.T) {
	before := status(t)
	for range 3 {
		detect()
	}
	if diff := cmp.Diff(before, status(t)); diff != "" {
		t.Errorf("descriptors, filters (-before +after):\n%s", diff)
	}
	var none unix.WaitStatus
	if pid, err := unix.Wait4(-1, &none, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("child %d is left (%v)", pid, err)
	}
}

func status(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	filters, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return []string{fmt.Sprint(len(entries), " descriptors"), fmt.Sprint("seccomp mode ", filters)}
}

func TestUserNamespaces(t *testing.T) {
	got, detail := userNamespaces()
	want := exec.Command("unshare", "--user", "--map-root-user", "true").Run() == nil
	if got != want {
		t.Errorf("user namespaces: %v (%s), unshare(1) says %v", got, detail, want)
	}
}

func TestYama(t *testing.T) {
	for scope, want := range map[string]bool{"0": true, "1": true, "3": false, "": false} {
		if got := yamaAllows(scope); got != want {
			t.Errorf("ptrace_scope %q allows reading children: %v", scope, got)
		}
	}
}
