package limits

import "testing"

func TestCgroupFolder(t *testing.T) {
	const mounts = "24 1 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n25 1 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
	for name, test := range map[string]struct{ mounts, groups, want, problem string }{
		"in one":      {mounts, "1:cpu:/\n0::/user.slice/me\n", "/sys/fs/cgroup/unified/user.slice/me", ""},
		"at the root": {mounts, "0::/\n", "/sys/fs/cgroup/unified", ""},
		"not mounted": {"24 1 0:22 / /proc rw - proc proc rw\n", "0::/\n", "", "no cgroup v2 is mounted"},
		"in none":     {mounts, "1:cpu:/\n", "", "this process is in no cgroup v2"},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := cgroupFolder(test.mounts, test.groups)
			problem := ""
			if err != nil {
				problem = err.Error()
			}
			if got != test.want || problem != test.problem {
				t.Errorf("folder %q, %q; want %q, %q", got, problem, test.want, test.problem)
			}
		})
	}
}
