package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnviron(t *testing.T) {
	host := []string{"TERM=xterm", "SECRET=1", "PATH=/bin", "HOME=/h", "PATH=/second", "nameless", "=C:", "EMPTY=", "EQ=a=b", "LANG=\xff"}
	for name, test := range map[string]struct {
		policy Policy
		want   []string
	}{
		"the host's":        {Policy{}, []string{"EMPTY=", "EQ=a=b", "HOME=/h", "LANG=\xff", "PATH=/bin", "SECRET=1", "TERM=xterm"}},
		"clean":             {Policy{CleanEnv: true}, []string{"HOME=/h", "LANG=\xff", "PATH=/bin", "TERM=xterm"}},
		"overridden, added": {Policy{CleanEnv: true, Env: map[string]string{"PATH": "/usr/bin", "USER": "", "Z": "\n"}}, []string{"HOME=/h", "LANG=\xff", "PATH=/usr/bin", "TERM=xterm", "USER=", "Z=\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.policy.Environ(host)); diff != "" {
				t.Errorf("Environ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvironIgnoresTheProcess(t *testing.T) {
	t.Setenv("SANDLOCK_TEST_VARIABLE", "1")
	if got := (&Policy{}).Environ(nil); len(got) != 0 {
		t.Errorf("Environ(nil) = %q, want nothing", got)
	}
}
