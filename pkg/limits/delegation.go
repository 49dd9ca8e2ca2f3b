package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Bounds are what settings of cgroups leave to those in them.
type bounds map[string]uint64

func (b bounds) lower(setting string, bound uint64) {
	if before, set := b[setting]; !set || bound < before {
		b[setting] = bound
	}
}

// add reads the bounds of a cgroup, so that a tree that leaves it takes them along.
func (b bounds) add(folder string) {
	for _, setting := range []string{"memory.max", "pids.max", "cpu.max"} {
		fields, _ := words(folder, setting) // the root has none
		if len(fields) == 0 || fields[0] == "max" {
			continue
		}
		bound, err := strconv.ParseUint(fields[0], 10, 64)
		if err == nil && len(fields) == 2 { // of another period
			period, _ := strconv.ParseUint(fields[1], 10, 64)
			bound = bound * cpuPeriod / max(period, 1)
		}
		if err == nil {
			b.lower(setting, bound)
		}
	}
}

// GroupFolder is where cgroups for the trees of this process are made, or an error that says why none can be.
func GroupFolder() (string, error) {
	folder, _, err := findBase([]string{"memory", "cpu"})
	return folder, err
}

// findBase finds a folder in which a cgroup with the wanted controllers can be made: this process's cgroup or the next
// one above it that is this user's. Its own as a rule cannot be it, because processes are in it. What bounds the cgroups
// that would be left comes with it.
func findBase(wanted []string) (folder string, outer bounds, err error) {
	mount, folder, err := ownCgroup()
	if err != nil {
		return "", nil, err
	}
	outer = make(bounds)
	for ; ; folder = filepath.Dir(folder) {
		failed := suits(folder, wanted)
		if failed == nil {
			return folder, outer, nil
		}
		if err == nil {
			err = failed
		}
		if folder == mount || folder == "/" {
			return "", nil, err
		}
		outer.add(folder)
	}
}

// suits says why no cgroup with the wanted controllers can be made in a folder.
func suits(folder string, wanted []string) error {
	for _, name := range []string{".", "cgroup.procs"} {
		path := filepath.Join(folder, name)
		if err := unix.Access(path, unix.W_OK); err != nil {
			return fmt.Errorf("%s cannot be written: %w", path, err)
		}
	}
	offered, err := words(folder, "cgroup.controllers")
	active, failed := words(folder, subtreeControl)
	members, failedToo := words(folder, "cgroup.procs")
	if err = errors.Join(err, failed, failedToo); err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(folder, "cgroup.type"))
	root := errors.Is(err, fs.ErrNotExist)
	for _, name := range wanted {
		switch {
		case !slices.Contains(offered, name):
			return fmt.Errorf("%s has no controller for %s", folder, name)
		case slices.Contains(active, name):
		case len(members) > 0 && !root:
			return fmt.Errorf("%s has processes in it, so that cgroups in it get no controller for %s", folder, name)
		case unix.Access(filepath.Join(folder, subtreeControl), unix.W_OK) != nil:
			return fmt.Errorf("%s cannot be written", filepath.Join(folder, subtreeControl))
		}
	}
	return nil
}

// subtreeControl has the controllers of the cgroups in a folder.
const subtreeControl = "cgroup.subtree_control"

// enable gives the cgroups in a folder the wanted controllers.
func enable(folder string, wanted []string) error {
	active, err := words(folder, subtreeControl)
	for _, name := range wanted {
		if err == nil && !slices.Contains(active, name) {
			err = write(filepath.Join(folder, subtreeControl), "+"+name)
		}
	}
	return err
}

func words(folder, name string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	return strings.Fields(string(text)), err
}

// ownCgroup gives where cgroup v2 is mounted, and the folder of this process's.
func ownCgroup() (mount, folder string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	return cgroupFolder(string(mounts), string(own))
}

// cgroupFolder reads /proc/self/mountinfo and /proc/self/cgroup; see proc(5) and cgroups(7).
func cgroupFolder(mounts, own string) (mount, folder string, err error) {
	for line := range strings.Lines(mounts) {
		fields, kind, _ := strings.Cut(line, " - ")
		if parts := strings.Fields(fields); strings.HasPrefix(kind, "cgroup2 ") && len(parts) > 4 {
			mount = parts[4]
			break
		}
	}
	if mount == "" {
		return "", "", errors.New("no cgroup v2 is mounted")
	}
	for line := range strings.Lines(own) {
		if path, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			return mount, filepath.Join(mount, path), nil
		}
	}
	return "", "", errors.New("this process is in no cgroup v2")
}
