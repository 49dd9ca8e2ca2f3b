package limits

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

func number(n uint64) *uint64 { return &n }

func TestCPUs(t *testing.T) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	host := numbersOf(set)
	first, last := host[:1], host[len(host)-1:]
	for name, test := range map[string]struct {
		rules policy.Policy
		want  []int
	}{
		"nothing asked":             {policy.Policy{}, nil},
		"a core":                    {policy.Policy{CPUCores: last}, last},
		"a number":                  {policy.Policy{NumCPUs: number(1)}, first},
		"more than there are":       {policy.Policy{NumCPUs: number(1 << 40)}, host},
		"the first one that counts": {policy.Policy{CPUCores: last, NumCPUs: number(3)}, last},
	} {
		t.Run(name, func(t *testing.T) {
			granted, err := CPUs(&test.rules)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			if granted != nil {
				got = numbersOf(*granted)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("CPUs (-want +got)\n%s", diff)
			}
		})
	}
	_, err := CPUs(&policy.Policy{CPUCores: []int{1023}})
	var fault *policy.Error
	if !errors.As(err, &fault) || fault.Field != "cpu_cores" {
		t.Errorf("CPU 1023: %v", err)
	}
}
