package seccomp_test

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/network"
	"sandlock/pkg/policy"
	"sandlock/pkg/seccomp"
)

var (
	eperm  = seccomp.Errno(unix.EPERM)
	eacces = seccomp.Errno(unix.EACCES)
	enosys = seccomp.Errno(unix.ENOSYS)
)

// alwaysDenied and sysvIPC are the default deny list once more, as the Python
// API documents it and with what that misses.
var alwaysDenied = strings.Fields(`
	mount umount2 pivot_root swapon swapoff reboot sethostname setdomainname
	kexec_load init_module finit_module delete_module unshare setns
	perf_event_open bpf userfaultfd keyctl add_key request_key ptrace
	process_vm_readv process_vm_writev open_by_handle_at name_to_handle_at
	ioperm iopl quotactl acct lookup_dcookie nfsservctl io_uring_setup
	io_uring_enter io_uring_register personality

	kexec_file_load fsopen fsconfig fsmount fspick move_mount open_tree
	mount_setattr pidfd_getfd process_madvise vhangup syslog settimeofday
	clock_settime adjtimex

	chroot open_tree_attr quotactl_fd clock_adjtime fanotify_init mq_unlink`)

var fileWatches = strings.Fields(`inotify_add_watch inotify_init inotify_init1`)

var aio = strings.Fields(`io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents`)

var sysvIPC = strings.Fields(`shmget shmat shmctl shmdt semget semop semctl
	semtimedop msgget msgsnd msgrcv msgctl`)

// decide is what a filter has to answer, written for being read.
func decide(s seccomp.Spec, c call) seccomp.Action {
	if c.arch != s.Arch {
		return seccomp.KillProcess
	}
	if s.Arch == seccomp.AMD64 && c.nr>>30 == 1 {
		return seccomp.KillProcess
	}
	name := s.Arch.Name(int(c.nr))
	if strings.HasPrefix(name, "syscall_") || name == "clone3" {
		return enosys
	}
	switch name {
	case "close_range", "dup3", "futex":
		if s.LaunchNonce != 0 && c.args[1]>>32<<32|c.args[2]>>32 == s.LaunchNonce {
			return seccomp.Allow
		}
	}
	extra := slices.Contains(s.ExtraDeny, name) ||
		slices.Contains(s.ExtraDeny, "sysv_ipc") && slices.Contains(sysvIPC, name)
	if extra || slices.Contains(alwaysDenied, name) {
		return eperm
	}
	if slices.Contains(sysvIPC, name) && !slices.Contains(s.ExtraAllow, "sysv_ipc") {
		return eperm
	}
	if slices.Contains(aio, name) && !slices.Contains(s.ExtraAllow, "aio") {
		return enosys
	}
	if slices.Contains(fileWatches, name) && !slices.Contains(s.ExtraAllow, "file_watches") {
		return eperm
	}
	low := func(i int) uint32 { return uint32(c.args[i]) }
	switch name {
	case "clone":
		if low(0)&(unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP|unix.CLONE_NEWUTS|unix.CLONE_NEWIPC|
			unix.CLONE_NEWUSER|unix.CLONE_NEWPID|unix.CLONE_NEWNET) != 0 {
			return eperm
		}
		if low(0)&unix.CLONE_PARENT != 0 && low(0)&unix.CLONE_THREAD == 0 {
			return eperm
		}
	case "fcntl":
		const setDelegation = 1040
		if low(1) == unix.F_SETLEASE || low(1) == setDelegation ||
			low(1) == unix.F_NOTIFY && !slices.Contains(s.ExtraAllow, "file_watches") {
			return seccomp.Errno(unix.EINVAL)
		}
	case "ioctl":
		shared := []uint32{unix.FICLONE, unix.FICLONERANGE, unix.FIDEDUPERANGE}
		btrfs := low(1)>>8&0xff == 0x94 && !slices.Contains(shared, low(1))
		if btrfs || low(1) == unix.TIOCSTI || low(1) == unix.TIOCLINUX {
			return eperm
		}
	case "prlimit64":
		if low(0) != 0 && c.args[2] != 0 {
			return eperm
		}
	case "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler":
		if low(0) != 0 {
			return eperm
		}
	case "setpriority", "ioprio_set":
		user := map[string]uint32{"setpriority": 2, "ioprio_set": 3}[name]
		if low(0) == user || low(1) != 0 {
			return eperm
		}
	case "prctl":
		if s.NoSubreapers && low(0) == unix.PR_SET_CHILD_SUBREAPER {
			return eperm
		}
	case "rt_sigaction":
		if s.ChildSignal && low(0) == uint32(unix.SIGCHLD) && c.args[1] != 0 {
			return seccomp.Notify
		}
	}
	if answer := decideNetwork(s.Network, name, c.args); answer != seccomp.Allow {
		if answer == seccomp.Notify && name == "sendto" && c.args[4] == 0 && !slices.Contains(s.Notify, int(c.nr)) {
			return seccomp.Allow
		}
		return answer
	}
	if slices.Contains(s.Notify, int(c.nr)) {
		return seccomp.Notify
	}
	return seccomp.Allow
}

// decideNetwork is what a filter has to answer because of the network's rules.
func decideNetwork(n network.Calls, name string, args [6]uint64) seccomp.Action {
	low := func(i int) uint32 { return uint32(args[i]) }
	family, kind, protocol := low(0), low(1)&0xf, low(2)
	stream, datagram := kind == unix.SOCK_STREAM, kind == unix.SOCK_DGRAM
	is := func(condition bool) seccomp.Action {
		if condition {
			return seccomp.Allow
		}
		return eacces
	}
	open := n.Protocols != 0
	access := map[network.Access]seccomp.Action{network.Denied: eacces, network.Kernel: seccomp.Allow, network.Supervised: seccomp.Notify}
	switch name {
	case "socketpair":
		return is(family == unix.AF_UNIX && (stream || kind == unix.SOCK_SEQPACKET))
	case "socket":
		ping := map[uint32]uint32{unix.AF_INET: unix.IPPROTO_ICMP, unix.AF_INET6: unix.IPPROTO_ICMPV6}[family]
		return is(!open && family == unix.AF_UNIX && (stream || kind == unix.SOCK_SEQPACKET) ||
			ping != 0 && (n.Protocols&policy.TCP != 0 && stream && (protocol == 0 || protocol == unix.IPPROTO_TCP) ||
				n.Protocols&policy.UDP != 0 && datagram && (protocol == 0 || protocol == unix.IPPROTO_UDP) ||
				n.Protocols&policy.ICMP != 0 && datagram && protocol == ping))
	case "connect":
		return access[n.Connect]
	case "bind":
		return access[n.Bind]
	case "listen":
		return access[n.Listen]
	case "sendto", "sendmsg", "sendmmsg":
		flags := map[string]int{"sendto": 3, "sendmsg": 2, "sendmmsg": 3}[name]
		switch {
		case n.Send == network.Supervised:
			return seccomp.Notify
		case open && low(flags)&unix.MSG_FASTOPEN != 0:
			return seccomp.Errno(unix.EOPNOTSUPP)
		}
	case "setsockopt":
		option := low(2)
		if open && (kindOfLevel(low(1)) == 4 && option == unix.IP_OPTIONS || kindOfLevel(low(1)) == 6 &&
			(option == unix.IPV6_RTHDR || option == unix.IPV6_2292RTHDR || option == unix.IPV6_2292PKTOPTIONS ||
				option == ipv6FlowLabels) || low(1) == unix.SOL_TCP && option == unix.TCP_ULP) {
			return eperm
		}
	}
	return seccomp.Allow
}

// kindOfLevel is 4 or 6 for the levels of setsockopt that are about IP.
func kindOfLevel(level uint32) int { return map[uint32]int{unix.SOL_IP: 4, unix.SOL_IPV6: 6}[level] }

// deniedOutright says whether a handler for the syscall could never be asked.
func deniedOutright(s seccomp.Spec, nr int) bool {
	s.LaunchNonce = 0
	switch s.Arch.Name(nr) {
	case "clone", "ioctl", "prlimit64", "socket", "socketpair", "sendto", "sendmsg", "sendmmsg", "setsockopt",
		"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "setpriority", "ioprio_set":
		return slices.Contains(s.ExtraDeny, s.Arch.Name(nr))
	}
	return decide(s, call{nr: uint32(nr), arch: s.Arch}).Denies()
}

// handleable are the syscalls that Spec.Notify may name.
func handleable(s seccomp.Spec) []int {
	var numbers []int
	for nr := range s.Arch.Syscalls() {
		if !deniedOutright(s, nr) {
			numbers = append(numbers, nr)
		}
	}
	return numbers
}

// ipv6FlowLabels is IPV6_FLOWLABEL_MGR of linux/in6.h.
const ipv6FlowLabels = 32
