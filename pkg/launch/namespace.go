package launch

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Identity is who the command is in a user namespace of its own, whose only user and group stand for the host's. The
// kernel goes on deciding about files and signals by the host's.
type Identity struct {
	UID, GID uint32
	// DropGroups leaves the command without supplementary groups, which takes a host with CAP_SETGID. Else the host's
	// remain, under the number of a group that is not mapped.
	DropGroups bool
}

// NamespaceError says that the command could not have a user namespace.
type NamespaceError struct{ Err error }

func (e *NamespaceError) Error() string {
	return "make a user namespace for the command: " + e.Err.Error()
}

func (e *NamespaceError) Unwrap() error { return e.Err }

// writeMaps fills the maps of a process's user namespace, see user_namespaces(7). pidfd is the process's.
func (id *Identity) writeMaps(pid, pidfd int) error {
	folder, err := unix.Open("/proc/"+strconv.Itoa(pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the command's folder in /proc: %w", err)
	}
	defer unix.Close(folder)
	// Only now: who is alive here had this number when the folder was opened.
	if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); err != nil {
		return fmt.Errorf("look for the command: %w", err)
	}
	if !id.DropGroups { // else the kernel would refuse the map of groups (Linux 3.19)
		if err := writeAt(folder, "setgroups", "deny"); err != nil {
			return err
		}
	}
	if err := writeAt(folder, "uid_map", fmt.Sprintf("%d %d 1\n", id.UID, os.Geteuid())); err != nil {
		return err
	}
	return writeAt(folder, "gid_map", fmt.Sprintf("%d %d 1\n", id.GID, os.Getegid()))
}

func writeAt(folder int, name, text string) error {
	fd, err := unix.Openat(folder, name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the namespace's %s: %w", name, err)
	}
	_, err = unix.Write(fd, []byte(text))
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("write the namespace's %s: %w", name, err)
	}
	return nil
}
