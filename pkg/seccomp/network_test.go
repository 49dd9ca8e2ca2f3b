package seccomp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/network"
	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
)

// The table of docs/network.md: what the kernel enforces alone is not trapped.
func TestNetworkThatIsNotTrapped(t *testing.T) {
	for name, p := range map[string]policy.Policy{
		"nothing":           {},
		"all is denied":     {NetDeny: []string{"*"}},
		"TCP ports":         {NetAllow: []string{"tcp://*:80,443", "tcp://:8000-8900"}},
		"every TCP port":    {NetAllow: []string{"tcp://*:*"}},
		"ports to bind":     {NetAllowBind: []string{"0", "8080"}},
		"every port":        {NetAllowBind: []string{"*"}},
		"TCP ports of both": {NetAllow: []string{"tcp://*:80"}, NetDeny: []string{"tcp://*:81"}, NetAllowBind: []string{"0-100"}},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := p.Network()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range seccomp.Arches() {
				f := compile(t, seccomp.Spec{Arch: a, Network: network.NewPlan(rules, true).Calls})
				var trapped []string
				for nr, name := range a.Syscalls() {
					if f.Verdict(nr).Action == seccomp.Notify {
						trapped = append(trapped, name)
					}
				}
				if diff := cmp.Diff([]string(nil), trapped); diff != "" {
					t.Errorf("%v: trapped (-want +got)\n%s", a, diff)
				}
			}
		})
	}
}
