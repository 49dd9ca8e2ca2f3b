package deputy

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// credentials are what the kernel looks at when a task opens a file.
type credentials struct {
	uid, gid     int // of the file system: see setfsuid(2)
	groups       string
	capabilities uint64 // effective
	umask        int
}

// credentialsOf reads /proc/TASK/status.
func credentialsOf(task int) (credentials, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(task) + "/status")
	if err != nil {
		return credentials{}, fmt.Errorf("read the task's credentials: %w", err)
	}
	var c credentials
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		var err error
		switch {
		case name == "Uid" && len(fields) == 4:
			c.uid, err = strconv.Atoi(fields[3])
		case name == "Gid" && len(fields) == 4:
			c.gid, err = strconv.Atoi(fields[3])
		case name == "Groups":
			c.groups = strings.Join(fields, " ")
		case name == "CapEff" && len(fields) == 1:
			c.capabilities, err = strconv.ParseUint(fields[0], 16, 64)
		case name == "Umask" && len(fields) == 1:
			var mask uint64
			mask, err = strconv.ParseUint(fields[0], 8, 12)
			c.umask = int(mask)
		}
		if err != nil {
			return credentials{}, fmt.Errorf("read the task's %s: %w", name, err)
		}
	}
	return c, nil
}

// assume gives the calling thread the file system credentials of a task that has other ones, until restore. They are a
// thread's own in the kernel; libc and Go keep those of all threads equal, hence the raw calls. More than the thread has
// cannot be had: that is an error.
func assume(own, wanted credentials) (restore func(), err error) {
	unix.Umask(wanted.umask)
	if own.uid == wanted.uid && own.gid == wanted.gid && own.groups == wanted.groups && own.capabilities == wanted.capabilities {
		return func() {}, nil
	}
	if wanted.capabilities&^own.capabilities != 0 {
		return nil, fmt.Errorf("assume the task's capabilities: %w", unix.EPERM)
	}
	restore = func() {
		unix.RawSyscall(unix.SYS_SETFSUID, uintptr(own.uid), 0, 0)
		setCapabilities(own.capabilities)
		unix.RawSyscall(unix.SYS_SETFSGID, uintptr(own.gid), 0, 0)
		setGroups(own.groups)
	}
	if own.groups != wanted.groups {
		if err := setGroups(wanted.groups); err != nil {
			restore()
			return nil, fmt.Errorf("assume the task's groups: %w", err)
		}
	}
	unix.RawSyscall(unix.SYS_SETFSGID, uintptr(wanted.gid), 0, 0)
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(wanted.uid), 0, 0)
	// Neither reports an error; what they are is what an impossible value leaves them.
	gid, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, ^uintptr(0), 0, 0)
	uid, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, ^uintptr(0), 0, 0)
	if int(gid) != wanted.gid || int(uid) != wanted.uid {
		restore()
		return nil, fmt.Errorf("assume the task's user and group: %w", unix.EPERM)
	}
	if err := setCapabilities(wanted.capabilities); err != nil {
		restore()
		return nil, fmt.Errorf("assume the task's capabilities: %w", err)
	}
	return restore, nil
}

func setGroups(list string) error {
	var groups []uint32
	for field := range strings.FieldsSeq(list) {
		group, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return err
		}
		groups = append(groups, uint32(group))
	}
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// setCapabilities sets the effective set of the calling thread and leaves the others.
func setCapabilities(effective uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective, data[1].Effective = uint32(effective), uint32(effective>>32)
	return unix.Capset(&header, &data[0])
}
