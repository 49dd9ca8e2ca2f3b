package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
	"sandlock/pkg/launch"
	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
)

// asFault reads an error as Python does.
func asFault(t *testing.T, err error) fault {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var f fault
	if !utf8.ValidString(err.Error()) {
		t.Errorf("%q is not UTF-8", err.Error())
	}
	if err := json.Unmarshal([]byte(err.Error()), &f); err != nil {
		t.Fatalf("%q: %v", err.Error(), err)
	}
	return f
}

func TestFaultKinds(t *testing.T) {
	for _, test := range []struct {
		err  error
		kind string
	}{
		{&policy.Error{Field: "cwd", Problem: "is wrong"}, "policy"},
		{&seccomp.UnknownSyscallError{Name: "opennat", Arch: seccomp.Native(), Nearest: "openat"}, "policy"},
		{&seccomp.DeniedError{Name: "mount"}, "policy"},
		{&seccomp.AllowError{Name: "mounts"}, "policy"},
		{&landlock.UnavailableError{}, "landlock"},
		{&landlock.MissingProtectionError{ABI: 1}, "confinement"},
		{&launch.StepError{Step: "install the seccomp filter", Errno: unix.ENOMEM, Call: unix.SYS_SECCOMP}, "seccomp"},
		{&launch.StepError{Step: "enforce the Landlock ruleset", Errno: unix.E2BIG, Call: unix.SYS_LANDLOCK_RESTRICT_SELF}, "confinement"},
		{&launch.StepError{Step: "set the umask", Errno: unix.ENOSYS, Call: unix.SYS_UMASK}, "sandbox"},
		{errors.New("something else"), "sandbox"},
	} {
		want := fault{test.kind, test.err.Error()}
		if diff := cmp.Diff(want, asFault(t, encode(test.err))); diff != "" {
			t.Errorf("%T (-want +got)\n%s", test.err, diff)
		}
		wrapped := fmt.Errorf("while trying: %w", errors.Join(test.err, errors.New("another")))
		if got := asFault(t, encode(wrapped)).Kind; got != test.kind {
			t.Errorf("%T is %q when wrapped, not %q", test.err, got, test.kind)
		}
	}
	if err := encode(nil); err != nil {
		t.Errorf("no error is %v", err)
	}
}

func TestFaultIsEncodedOnce(t *testing.T) {
	once := encode(errors.New("a \"quoted\" text\nof two lines, \x00 and \xff"))
	if diff := cmp.Diff(once.Error(), encode(fmt.Errorf("around it: %w", once)).Error()); diff != "" {
		t.Errorf("(-once +twice)\n%s", diff)
	}
	want := fault{"sandbox", "a \"quoted\" text\nof two lines, \x00 and \ufffd"}
	if diff := cmp.Diff(want, asFault(t, once)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Whatever bytes a request holds, its fault is text.
func TestFaultAboutBytes(t *testing.T) {
	const name = "/none/\xff\xfe\x80"
	for what, test := range map[string]struct {
		fields map[string]any
		tells  string
	}{
		"a path":          {map[string]any{"policy": map[string]any{"fs_readable": []string{characters(name)}}}, "fs_readable"},
		"the cwd":         {map[string]any{"policy": map[string]any{"cwd": characters(name)}}, "cwd"},
		"a field":         {map[string]any{"policy": map[string]any{characters("\xff"): 1}}, "is not a field"},
		"an argument":     {map[string]any{"args": []string{"true", characters("\xff\x00")}}, "cmd"},
		"a syscall":       {map[string]any{"workers": 1, "chains": []any{map[string]any{"syscall": characters("\xff"), "fallback": []int{0, 0, 0}}}}, "unknown syscall"},
		"an extra denial": {map[string]any{"policy": map[string]any{"extra_deny_syscalls": []string{characters("\xff")}}}, "unknown syscall"},
	} {
		t.Run(what, func(t *testing.T) {
			fields := captured("true")
			for field, value := range test.fields {
				fields[field] = value
			}
			handle, err := startNew(asJSON(t, fields))
			f := asFault(t, err)
			if handle != 0 || f.Kind != "policy" || !strings.Contains(f.Message, test.tells) {
				t.Errorf("handle %d, fault %+v; want one of kind policy that tells %q", handle, f, test.tells)
			}
		})
	}
}
