package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// check singles out calls of one number by their arguments.
type check struct {
	when string // describes these calls
	then Action // the answer to them
	// emit adds the code that goes to yes for these calls, else to no, and
	// returns its first instruction.
	emit func(a *assembler, yes, no label) label
}

// namespaceFlags are the flags of clone that make a namespace. CLONE_NEWTIME is
// not among them: its bit belongs to the exit signal of clone, only clone3 and
// unshare know it.
const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// btrfsCommands is BTRFS_IOCTL_MAGIC of linux/btrfs.h where a command has its type.
const btrfsCommands = 0x94 << 8

// argumentChecks are the default checks outside the network, by syscall.
var argumentChecks = map[string]*check{
	// clone uses the low 32 bits of its flags, the first argument on both
	// architectures.
	"clone": {
		when: "a namespace flag is set, or CLONE_PARENT for a process",
		then: Errno(unix.EPERM),
		emit: func(a *assembler, yes, no label) label {
			// A brother of its maker would be no descendant: what holds for one and its descendants would not for it.
			process := a.branch(bpf.JumpBitsSet, unix.CLONE_THREAD, no, yes)
			brother := a.branch(bpf.JumpBitsSet, unix.CLONE_PARENT, process, no)
			flags := a.branch(bpf.JumpBitsSet, namespaceFlags, yes, brother)
			return a.load(argLow(0), flags)
		},
	},
	// The first two put input into a terminal that the sandbox shares with its host. Those of btrfs make subvolumes
	// and snapshots in folders that are open for reading, and Landlock is not asked; what it clones and deduplicates
	// with is every file system's. The kernel reads the low 32 bits of the command.
	"ioctl": {
		when: "the command is TIOCSTI, TIOCLINUX, or one of btrfs",
		then: Errno(unix.EPERM),
		emit: func(a *assembler, yes, no label) label {
			btrfs := a.mask(0xff00, a.branch(bpf.JumpEqual, btrfsCommands, yes, no))
			for _, shared := range []uint32{unix.FIDEDUPERANGE, unix.FICLONERANGE, unix.FICLONE} {
				btrfs = a.branch(bpf.JumpEqual, shared, no, btrfs)
			}
			linux := a.branch(bpf.JumpEqual, unix.TIOCLINUX, yes, btrfs)
			sti := a.branch(bpf.JumpEqual, unix.TIOCSTI, yes, linux)
			return a.load(argLow(1), sti)
		},
	},
	"fcntl": commandsOfFcntl("it takes a lease or watches a folder", unix.F_NOTIFY, unix.F_SETLEASE, setDelegation),
	// The kernel lets a process set the limits of every process of its user, and
	// no Landlock rule stands in the way: RLIMIT_CPU ends the supervisor. Libc's
	// setrlimit says pid 0. Reading limits does no harm.
	"prlimit64": {
		when: "it sets the limits of another pid than 0",
		then: Errno(unix.EPERM),
		emit: func(a *assembler, yes, no label) label {
			low := a.branch(bpf.JumpEqual, 0, no, yes)
			loadLow := a.load(argLow(2), low)
			high := a.branch(bpf.JumpEqual, 0, loadLow, yes)
			loadHigh := a.load(argHigh(2), high)
			pid := a.branch(bpf.JumpEqual, 0, no, loadHigh)
			return a.load(argLow(0), pid)
		},
	},
	"sched_setaffinity":  &otherTask,
	"sched_setattr":      &otherTask,
	"sched_setparam":     &otherTask,
	"sched_setscheduler": &otherTask,
	"setpriority":        otherPriorities(unix.PRIO_USER),
	"ioprio_set":         otherPriorities(ioprioWhoUser),
}

// setDelegation is F_SETDELEG of linux/fcntl.h (Linux 6.19), which x/sys/unix lacks.
const setDelegation = 1024 + 16

// takesLease is the check of fcntl where files may be watched.
var takesLease = commandsOfFcntl("it takes a lease", unix.F_SETLEASE, setDelegation)

// commandsOfFcntl singles out commands of fcntl, of which the kernel reads the low 32 bits. A lease makes others wait
// who open the file, the host and its handlers too, and stays with a file of the host's beyond the run. The error is
// the one of a file system without leases, and of a kernel without dnotify.
func commandsOfFcntl(when string, commands ...uint32) *check {
	return &check{
		when: when,
		then: Errno(unix.EINVAL),
		emit: func(a *assembler, yes, no label) label {
			next := no
			for _, command := range commands {
				next = a.branch(bpf.JumpEqual, command, yes, next)
			}
			return a.load(argLow(1), next)
		},
	}
}

// otherTask singles out calls that schedule others than the calling thread. As with limits, the kernel lets a process
// do so with every process of its user, the supervisor included.
var otherTask = check{
	when: "it is about another task than 0",
	then: Errno(unix.EPERM),
	emit: func(a *assembler, yes, no label) label {
		return a.load(argLow(0), a.branch(bpf.JumpEqual, 0, no, yes))
	},
}

// ioprioWhoUser is IOPRIO_WHO_USER of linux/ioprio.h, which x/sys/unix lacks.
const ioprioWhoUser = 3

// otherPriorities is otherTask for calls whose target is a task, a process group or a user; which is the number of the
// last. The group 0 is the caller's own, of a session that the launcher has begun.
func otherPriorities(user uint32) *check {
	return &check{
		when: "it is about a user, or another task or group than 0",
		then: Errno(unix.EPERM),
		emit: func(a *assembler, yes, no label) label {
			target := a.load(argLow(1), a.branch(bpf.JumpEqual, 0, no, yes))
			return a.load(argLow(0), a.branch(bpf.JumpEqual, user, yes, target))
		},
	}
}

// childSignal singles out who sets what SIGCHLD does. Who only asks passes a null pointer.
var childSignal = check{
	when: "it sets what SIGCHLD does",
	then: Notify,
	emit: func(a *assembler, yes, no label) label {
		low := a.branch(bpf.JumpEqual, 0, no, yes)
		loadLow := a.load(argLow(1), low)
		high := a.branch(bpf.JumpEqual, 0, loadLow, yes)
		loadHigh := a.load(argHigh(1), high)
		signal := a.branch(bpf.JumpEqual, uint32(unix.SIGCHLD), loadHigh, no)
		return a.load(argLow(0), signal)
	},
}

// subreaper singles out who wants to adopt the orphans among its descendants.
var subreaper = check{
	when: "it is about adopting orphans",
	then: Errno(unix.EPERM),
	emit: func(a *assembler, yes, no label) label {
		return a.load(argLow(0), a.branch(bpf.JumpEqual, unix.PR_SET_CHILD_SUBREAPER, yes, no))
	},
}

// launcherCalls are the calls that the launcher makes between installing the
// filter and execve.
var launcherCalls = []string{"close_range", "dup3", "futex"}

// launcherCheck singles out the launcher's own calls by the nonce in the upper
// halves of their second and third arguments. These are 32-bit parameters of all
// three calls (last and flags, new descriptor and flags, operation and value),
// so the kernel ignores the upper halves.
//
// It opens nothing to the command: the nonce is random for each run and was only
// in memory that is gone after execve, a filter cannot be read back without
// CAP_SYS_ADMIN and ptrace, and the three calls reach nothing outside the
// process.
func launcherCheck(nonce uint64) *check {
	return &check{
		when: "it bears the launch nonce",
		then: Allow,
		emit: func(a *assembler, yes, no label) label {
			low := a.branch(bpf.JumpEqual, uint32(nonce), yes, no)
			loadLow := a.load(argHigh(2), low)
			high := a.branch(bpf.JumpEqual, uint32(nonce>>32), loadLow, no)
			return a.load(argHigh(1), high)
		},
	}
}
