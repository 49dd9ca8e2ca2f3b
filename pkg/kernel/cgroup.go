package kernel

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroup asks whether the user may make cgroups beside this process, with the controllers that limits need. See
// cgroups(7), "Delegation".
func cgroup() (bool, string) {
	folder, err := ownCgroup()
	if err != nil {
		return false, err.Error()
	}
	if unix.Access(folder, unix.W_OK) != nil || unix.Access(filepath.Join(folder, "cgroup.procs"), unix.W_OK) != nil {
		return false, folder + " is not this user's to write"
	}
	text, err := os.ReadFile(filepath.Join(folder, "cgroup.controllers"))
	if err != nil {
		return false, err.Error()
	}
	controllers := strings.Fields(string(text))
	for _, needed := range []string{"memory", "pids"} {
		if !slices.Contains(controllers, needed) {
			return false, folder + " has no controller for " + needed
		}
	}
	return true, folder
}

// ownCgroup is the folder of this process's cgroup v2.
func ownCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	return cgroupFolder(string(mounts), string(groups))
}

// cgroupFolder reads /proc/self/mountinfo and /proc/self/cgroup; see proc(5) and cgroups(7).
func cgroupFolder(mounts, groups string) (string, error) {
	mount := ""
	for scanner := bufio.NewScanner(strings.NewReader(mounts)); scanner.Scan(); {
		fields, kind, _ := strings.Cut(scanner.Text(), " - ")
		if parts := strings.Fields(fields); strings.HasPrefix(kind, "cgroup2 ") && len(parts) > 4 {
			mount = parts[4]
			break
		}
	}
	if mount == "" {
		return "", errors.New("no cgroup v2 is mounted")
	}
	for line := range strings.Lines(groups) {
		if path, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			return filepath.Join(mount, path), nil
		}
	}
	return "", errors.New("this process is in no cgroup v2")
}
