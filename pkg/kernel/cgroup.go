package kernel

import "sandlock/pkg/limits"

// cgroup asks whether the user may make cgroups with the controllers that limits need, see cgroups(7), "Delegation".
func cgroup() (bool, string) {
	folder, err := limits.GroupFolder()
	if err != nil {
		return false, err.Error()
	}
	return true, folder
}
