package policy

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProtectionNumbersAreTheReferences(t *testing.T) {
	want := map[string]int{"FS_REFER": 0, "FS_TRUNCATE": 1, "NET_TCP": 2, "FS_IOCTL_DEV": 3, "SIGNAL_SCOPE": 4, "ABSTRACT_UNIX_SOCKET_SCOPE": 5}
	got := map[string]int{}
	for _, p := range Protections() {
		got[p.String()] = int(p)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("protections (-want +got):\n%s", diff)
	}
}

func TestParseProtection(t *testing.T) {
	for _, p := range Protections() {
		for _, text := range []string{p.String(), strconv.Itoa(int(p))} {
			if got, err := ParseProtection(text); got != p || err != nil {
				t.Errorf("ParseProtection(%q) = %v, %v", text, got, err)
			}
		}
	}
	for _, text := range []string{"", "6", "-1", "net_tcp", "Protection(9)", "NET_UDP"} {
		if _, err := ParseProtection(text); err == nil {
			t.Errorf("ParseProtection(%q) succeeded", text)
		}
	}
	if got := Protection(9).String(); got != "Protection(9)" {
		t.Errorf("String of an unknown protection = %s", got)
	}
}
