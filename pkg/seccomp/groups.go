package seccomp

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// group is a named set of syscalls of the default deny list. Members that an
// architecture does not have are absent there.
type group struct {
	name     string
	optional bool       // Spec.ExtraAllow may take it off the list
	errno    unix.Errno // the answer, if it is not EPERM
	members  []string
}

// defaultDeny is the default deny list. No group bears the name of a syscall.
// clone3 is not on it: it has a verdict of its own.
var defaultDeny = []group{
	// A changed view of the file tree would move paths under Landlock's rules.
	{name: "mounts", members: []string{
		"chroot", "fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr",
		"move_mount", "open_tree", "open_tree_attr", "pivot_root", "umount2",
	}},
	{name: "namespaces", members: []string{"setns", "unshare"}},
	// Memory and descriptors of other processes.
	{name: "other_processes", members: []string{
		"pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
	}},
	// It opens and connects where no filter sees it.
	{name: "io_uring", members: []string{"io_uring_enter", "io_uring_register", "io_uring_setup"}},
	// The machine has one number of requests for all (fs.aio-max-nr), and no limit
	// of a process counts them. The error is that of a kernel without these calls,
	// so that programs do with others.
	{name: "aio", optional: true, errno: unix.ENOSYS, members: []string{
		"io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
	}},
	// Files by handle instead of by path.
	{name: "file_handles", members: []string{"name_to_handle_at", "open_by_handle_at"}},
	// Ways to watch other processes and files, or to steer the kernel; the
	// richest source of its holes.
	{name: "observation", members: []string{
		"bpf", "fanotify_init", "lookup_dcookie", "perf_event_open", "userfaultfd",
	}},
	// Landlock does not restrict what is watched: they tell the names of files in
	// folders that cannot be listed, and when somebody uses which.
	{name: "file_watches", optional: true, members: []string{"inotify_add_watch", "inotify_init", "inotify_init1"}},
	{name: "keyrings", members: []string{"add_key", "keyctl", "request_key"}},
	{name: "modules", members: []string{"delete_module", "finit_module", "init_module"}},
	{name: "kexec", members: []string{"kexec_file_load", "kexec_load"}},
	{name: "clocks", members: []string{"adjtimex", "clock_adjtime", "clock_settime", "settimeofday"}},
	{name: "port_io", members: []string{"ioperm", "iopl"}},
	{name: "administration", members: []string{
		"acct", "nfsservctl", "quotactl", "quotactl_fd", "reboot", "setdomainname",
		"sethostname", "swapoff", "swapon", "syslog", "vhangup",
	}},
	// It turns address space randomisation off and old behaviour on.
	{name: "personalities", members: []string{"personality"}},
	// Landlock refuses to open a POSIX message queue, but lets it be removed.
	{name: "queue_removal", members: []string{"mq_unlink"}},
	// Shared with every process of the IPC namespace, and no paths to rule on.
	{name: "sysv_ipc", optional: true, members: []string{
		"msgctl", "msgget", "msgrcv", "msgsnd",
		"semctl", "semget", "semop", "semtimedop",
		"shmat", "shmctl", "shmdt", "shmget",
	}},
}

// Expand turns names of syscalls and groups into numbers, in ascending order
// and without repetition. The error is an *UnknownSyscallError.
func (a Arch) Expand(names []string) ([]int, error) {
	var numbers []int
	for _, name := range names {
		if g := findGroup(name); g != nil {
			numbers = append(numbers, g.numbers(a)...)
		} else if nr, ok := a.numbers()[name]; ok {
			numbers = append(numbers, nr)
		} else {
			return nil, a.unknown(name, groupNames(func(group) bool { return true }))
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// numbers returns the numbers of the members that the architecture has.
func (g group) numbers(a Arch) []int {
	var numbers []int
	for _, name := range g.members {
		if nr, ok := a.numbers()[name]; ok {
			numbers = append(numbers, nr)
		}
	}
	return numbers
}

func findGroup(name string) *group {
	i := slices.IndexFunc(defaultDeny, func(g group) bool { return g.name == name })
	if i < 0 {
		return nil
	}
	return &defaultDeny[i]
}

// checkAllow says whether a name may stand in Spec.ExtraAllow.
func (a Arch) checkAllow(name string) error {
	optional := groupNames(func(g group) bool { return g.optional })
	problem := "it is not a group"
	if g := findGroup(name); g != nil {
		if g.optional {
			return nil
		}
		problem = "this group stays denied"
	} else if _, ok := a.numbers()[name]; ok {
		problem = "it is a syscall, not a group"
	}
	return &AllowError{Name: name, Problem: problem, Optional: optional}
}

func groupNames(keep func(group) bool) []string {
	var names []string
	for _, g := range defaultDeny {
		if keep(g) {
			names = append(names, g.name)
		}
	}
	return names
}

// AllowError reports a name in Spec.ExtraAllow that cannot be taken off the
// default deny list.
type AllowError struct {
	Name     string
	Problem  string
	Optional []string // the groups that can
}

func (e *AllowError) Error() string {
	return fmt.Sprintf("cannot allow %q: %s; what may be allowed: %s",
		e.Name, e.Problem, strings.Join(e.Optional, ", "))
}
