package deputy

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestOwnFiles(t *testing.T) {
	c := caller{task: 1<<22 + 2, process: 1<<22 + 1} // numbers that no process has
	self, thread := fmt.Sprint(os.Getpid()), fmt.Sprint(unix.Gettid())
	for name, want := range map[string]ownFile{
		"/proc/" + self:                               {folder: "4194305"},
		"/proc/" + self + "/status":                   {folder: "4194305", rest: "status"},
		"/proc/" + thread + "/status":                 {folder: "4194305", rest: "status"},
		"/proc/" + self + "/task/" + thread:           {folder: "4194305/task/4194306", thread: true},
		"/proc/" + self + "/task/" + thread + "/fd/3": {folder: "4194305/task/4194306", rest: "fd/3", thread: true},
		"/proc/4194305/fd/3":                          {folder: "4194305", rest: "fd/3"},
		"/proc/4194306/exe":                           {folder: "4194306", rest: "exe"},
		"/proc/4194305/task/4194306/cwd":              {folder: "4194305/task/4194306", rest: "cwd", thread: true},
		"/proc/4194305/task":                          {folder: "4194305", rest: "task"},
		"/proc/stat":                                  {}, "/proc": {}, "/proc/self": {}, "/procs/1": {}, "/proc/1/status": {}, "/": {}, "": {}, "/proc/4194305x/fd": {},
	} {
		got, ok := c.ownFileOf(name)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(ownFile{}, unix.OpenHow{})); diff != "" || ok != (want != ownFile{}) {
			t.Errorf("%s: %v\n%s", name, ok, diff)
		}
	}
	for rest, want := range map[string]bool{"fd/0": true, "fd/2147483647": true, "exe": true, "cwd": true, "root": true,
		"fd": false, "fd/": false, "fd/x": false, "fd/1/x": false, "fd/-1": false, "fd/2147483648": false, "ns/mnt": false, "cwd/x": false, "": false} {
		if got := (ownFile{rest: rest}).isMagic(); got != want {
			t.Errorf("%q: %v", rest, got)
		}
	}
}
