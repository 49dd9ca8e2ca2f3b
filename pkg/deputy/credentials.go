package deputy

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/proc"
)

// credentials are what the kernel looks at when a task opens a file, and tells the peer when it connects to one.
type credentials struct {
	uid, gid     int // of the file system: see setfsuid(2)
	euid, egid   int // see SO_PEERCRED in unix(7)
	groups       []uint32
	capabilities uint64 // effective
}

func (c credentials) equal(other credentials) bool {
	return c.uid == other.uid && c.gid == other.gid && c.euid == other.euid && c.egid == other.egid &&
		c.capabilities == other.capabilities && slices.Equal(c.groups, other.groups)
}

// A caller is the task for which a call is performed.
type caller struct {
	task, process int
	credentials
	real  credentials // what access(2) looks at
	umask int
}

// callerOf reads /proc/TASK/status.
func callerOf(task int) (caller, error) {
	status, err := proc.ReadStatus(task)
	if err != nil {
		return caller{}, err
	}
	c, err := parseStatus(status)
	c.task = task
	return c, err
}

// parseStatus takes what it needs from the status of a task.
func parseStatus(status proc.Status) (c caller, err error) {
	number := func(name string, column, base int) uint64 {
		value, failed := status.Number(name, column, base)
		if failed != nil {
			err = failed
		}
		return value
	}
	c.process = int(number("Tgid", 0, 10))
	c.umask = int(number("Umask", 0, 8))
	for column := range status.Values("Groups") {
		c.groups = append(c.groups, uint32(number("Groups", column, 10)))
	}
	// Real, effective, saved, file system.
	c.uid, c.gid = int(number("Uid", 3, 10)), int(number("Gid", 3, 10))
	c.euid, c.egid = int(number("Uid", 1, 10)), int(number("Gid", 1, 10))
	c.capabilities = number("CapEff", 0, 16)
	c.real = credentials{uid: int(number("Uid", 0, 10)), gid: int(number("Gid", 0, 10)), euid: c.euid, egid: c.egid, groups: c.groups}
	if c.real.uid == 0 {
		c.real.capabilities = number("CapPrm", 0, 16)
	}
	return c, err
}

// ownCredentials are those of the calling thread.
func ownCredentials() (credentials, error) {
	// What they are is what an impossible value leaves them.
	uid, _, _ := unix.RawSyscall(unix.SYS_SETFSUID, ^uintptr(0), 0, 0)
	gid, _, _ := unix.RawSyscall(unix.SYS_SETFSGID, ^uintptr(0), 0, 0)
	c := credentials{uid: int(uid), gid: int(gid), euid: os.Geteuid(), egid: os.Getegid()}
	count, _, errno := unix.RawSyscall(unix.SYS_GETGROUPS, 0, 0, 0)
	if errno == 0 && count > 0 {
		c.groups = make([]uint32, count)
		_, _, errno = unix.RawSyscall(unix.SYS_GETGROUPS, count, uintptr(unsafe.Pointer(&c.groups[0])), 0)
	}
	if errno != 0 {
		return credentials{}, fmt.Errorf("read the own groups: %w", errno)
	}
	_, data, err := capabilities()
	c.capabilities = uint64(data[0].Effective) | uint64(data[1].Effective)<<32
	return c, err
}

// assume gives the calling thread the umask and the credentials of a caller, the latter until restore. They are a
// thread's own in the kernel; libc and Go keep those of all threads equal, hence the raw calls. More than the thread has
// cannot be had: that is an error.
func assume(wanted caller) (restore func(), err error) {
	unix.Umask(wanted.umask)
	own, err := ownCredentials()
	if err != nil {
		return nil, err
	}
	if own.equal(wanted.credentials) {
		return func() {}, nil
	}
	if wanted.capabilities&^own.capabilities != 0 {
		return nil, fmt.Errorf("assume the task's capabilities: %w", unix.EPERM)
	}
	keepDumpable()
	restore = func() {
		setEffective(own)
		unix.RawSyscall(unix.SYS_SETFSUID, uintptr(own.uid), 0, 0)
		setCapabilities(own.capabilities)
		unix.RawSyscall(unix.SYS_SETFSGID, uintptr(own.gid), 0, 0)
		setGroups(own.groups)
		restoreDumpable()
	}
	if err := own.become(wanted.credentials); err != nil {
		restore()
		return nil, fmt.Errorf("assume the task's credentials: %w", err)
	}
	return restore, nil
}

func (own credentials) become(wanted credentials) error {
	if !slices.Equal(own.groups, wanted.groups) {
		if err := setGroups(wanted.groups); err != nil {
			return err
		}
	}
	if own.euid != wanted.euid || own.egid != wanted.egid {
		setEffective(wanted)
		if err := setCapabilities(own.capabilities); err != nil { // which no longer being root has taken
			return err
		}
	}
	// Neither reports an error.
	unix.RawSyscall(unix.SYS_SETFSGID, uintptr(wanted.gid), 0, 0)
	unix.RawSyscall(unix.SYS_SETFSUID, uintptr(wanted.uid), 0, 0)
	if err := setCapabilities(wanted.capabilities); err != nil {
		return err
	}
	got, err := ownCredentials()
	if err == nil && !got.equal(wanted) {
		err = unix.EPERM
	}
	return err
}

// setEffective sets the effective user and group of the calling thread, the real and saved ones stay. Whether it did is
// to be seen afterwards.
func setEffective(c credentials) {
	const leave = ^uintptr(0)
	unix.RawSyscall(unix.SYS_SETRESGID, leave, uintptr(c.egid), leave)
	unix.RawSyscall(unix.SYS_SETRESUID, leave, uintptr(c.euid), leave)
}

func setGroups(groups []uint32) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func capabilities() (header unix.CapUserHeader, data [2]unix.CapUserData, err error) {
	header = unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = unix.Capget(&header, &data[0])
	return header, data, err
}

// setCapabilities sets the effective set of the calling thread and leaves the others.
func setCapabilities(effective uint64) error {
	header, data, err := capabilities()
	if err != nil {
		return err
	}
	data[0].Effective, data[1].Effective = uint32(effective), uint32(effective>>32)
	return unix.Capset(&header, &data[0])
}

// The kernel makes a process undumpable when one of its threads changes credentials (commit_creds in kernel/cred.c),
// and leaves it so.
var dumpable struct {
	sync.Mutex
	changed int // threads that have other credentials
	before  int
}

func keepDumpable() {
	dumpable.Lock()
	defer dumpable.Unlock()
	if dumpable.changed == 0 {
		dumpable.before, _ = unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	}
	dumpable.changed++
}

func restoreDumpable() {
	dumpable.Lock()
	defer dumpable.Unlock()
	dumpable.changed--
	if dumpable.changed == 0 && dumpable.before == 1 {
		unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
}
