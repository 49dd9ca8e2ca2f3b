package launch

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A step is one system call that the child makes, and what an error calls it.
type step struct {
	name string
	call uintptr
	args [6]argument
}

// An argument is a number or memory that the arena holds for the child.
type argument interface {
	// size is an upper bound of the arena space that place takes.
	size() int
	place(*arena) uint64
}

type number uint64

func (number) size() int             { return 0 }
func (n number) place(*arena) uint64 { return uint64(n) }

// text is a string as the kernel reads it: its bytes, then NUL.
type text string

func (t text) size() int { return roundUp(len(t) + 1) }

func (t text) place(a *arena) uint64 {
	p := a.take(len(t) + 1)
	copy(unsafe.Slice((*byte)(p), len(t)), t)
	return uint64(uintptr(p))
}

// vector is argv or envp: pointers to strings, then NULL.
type vector []string

func (v vector) size() int {
	total := roundUp((len(v) + 1) * 8)
	for _, s := range v {
		total += text(s).size()
	}
	return total
}

func (v vector) place(a *arena) uint64 {
	pointers := unsafe.Slice((*uint64)(a.take((len(v)+1)*8)), len(v)+1)
	for i, s := range v {
		pointers[i] = text(s).place(a)
	}
	return uint64(uintptr(unsafe.Pointer(&pointers[0])))
}

// once is an argument of several steps.
type once struct {
	of      argument
	address uint64
}

func (o *once) size() int { return o.of.size() }

func (o *once) place(a *arena) uint64 {
	if o.address == 0 {
		o.address = o.of.place(a)
	}
	return o.address
}

// value is a struct that the kernel reads, without pointers of Go's.
type value[T any] struct{ of T }

func (v value[T]) size() int             { return roundUp(int(unsafe.Sizeof(v.of))) }
func (v value[T]) place(a *arena) uint64 { return placeValue(a, v.of) }

// program is a struct sock_fprog and the instructions that it points to.
type program []unix.SockFilter

// sockFprog is unix.SockFprog with an address in the place of a Go pointer.
type sockFprog struct {
	length  uint16
	_       [3]uint16
	address uint64
}

func (p program) size() int {
	return roundUp(len(p)*unix.SizeofSockFilter) + roundUp(int(unsafe.Sizeof(sockFprog{})))
}

func (p program) place(a *arena) uint64 {
	instructions := unsafe.Slice((*unix.SockFilter)(a.take(len(p)*unix.SizeofSockFilter)), len(p))
	copy(instructions, p)
	return placeValue(a, sockFprog{length: uint16(len(p)), address: uint64(uintptr(unsafe.Pointer(&instructions[0])))})
}

func do(name string, call uintptr, args ...argument) step {
	s := step{name: name, call: call}
	for i := range s.args {
		s.args[i] = number(0)
	}
	copy(s.args[:], args)
	return s
}

const signalSetBytes = 8

// reaperPlan is what the reaper does before it starts the command; the command inherits all of it but the subreaper
// role.
func reaperPlan(s Spec) []step {
	plan := []step{
		// Out of the host's process group: what kills that group must leave somebody to clean up.
		do("start a session for the reaper", unix.SYS_SETSID),
		do("adopt the orphans of the tree", unix.SYS_PRCTL, number(unix.PR_SET_CHILD_SUBREAPER), number(1)),
		do("give up new privileges", unix.SYS_PRCTL, number(unix.PR_SET_NO_NEW_PRIVS), number(1)),
		do("name the reaper", unix.SYS_PRCTL, number(unix.PR_SET_NAME), text("sandlock-reaper")),
	}
	if s.ReaperRuleset >= 0 {
		plan = append(plan, do("contain the reaper's signals", unix.SYS_LANDLOCK_RESTRICT_SELF,
			number(s.ReaperRuleset), number(s.ReaperRulesetFlags)))
	}
	return plan
}

// landmarks are the indices of a plan's steps that the child does something about, or -1; see child.h.
type landmarks struct{ tied, listener, isolated, execute int }

// commandPlan is what the command does between clone and execve. Only the steps after the filter are subject to it, and
// the nonce lets them through; see package seccomp.
func commandPlan(s Spec) (plan []step, marks landmarks) {
	plan = identityPlan(s.Identity) // first: a change of the user would untie the command
	if s.Cgroup != nil {
		plan = append(plan, do("enter the cgroup", unix.SYS_WRITE, number(s.Cgroup.Procs), text("0"), number(1)))
	}
	plan = append(plan,
		do("start a session", unix.SYS_SETSID),
		do("tie the command to its reaper", unix.SYS_PRCTL, number(unix.PR_SET_PDEATHSIG), number(unix.SIGKILL)),
	)
	marks = landmarks{tied: len(plan) - 1, listener: -1}
	if s.Terminal {
		plan = append(plan, do("take the terminal", unix.SYS_IOCTL, number(s.Files[0]), number(unix.TIOCSCTTY)))
	}
	if s.Dir >= 0 {
		plan = append(plan, do("change to the working directory", unix.SYS_FCHDIR, number(s.Dir)))
	}
	for _, capability := range s.Unbound {
		plan = append(plan, do("bound capabilities", unix.SYS_PRCTL, number(unix.PR_CAPBSET_DROP), number(capability)))
	}
	plan = append(plan, do("drop capabilities", unix.SYS_CAPSET,
		value[unix.CapUserHeader]{unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}},
		value[Capabilities]{s.Capabilities}))
	if s.Umask != nil {
		plan = append(plan, do("set the umask", unix.SYS_UMASK, number(*s.Umask)))
	}
	if s.Personality != nil {
		plan = append(plan, do("set the personality", unix.SYS_PERSONALITY, number(*s.Personality)))
	}
	if s.NoHugePages {
		plan = append(plan, do("disable huge pages", unix.SYS_PRCTL, number(unix.PR_SET_THP_DISABLE), number(1)))
	}
	for _, limit := range s.Limits {
		plan = append(plan, do("limit "+limit.Name, unix.SYS_PRLIMIT64, number(0), number(limit.Resource),
			value[unix.Rlimit]{limit.Rlimit}))
	}
	if s.CPUs != nil {
		plan = append(plan, do("choose the CPUs", unix.SYS_SCHED_SETAFFINITY, number(0), number(unsafe.Sizeof(*s.CPUs)),
			value[unix.CPUSet]{*s.CPUs}))
	}
	plan = append(plan, do("unblock signals", unix.SYS_RT_SIGPROCMASK, number(unix.SIG_SETMASK), value[uint64]{},
		number(0), number(signalSetBytes)))
	if s.Ruleset >= 0 {
		plan = append(plan, do("enforce the Landlock ruleset", unix.SYS_LANDLOCK_RESTRICT_SELF, number(s.Ruleset)))
	}
	if len(s.Filter) > 0 {
		if s.FilterFlags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
			marks.listener = len(plan)
		}
		plan = append(plan, do("install the seccomp filter", unix.SYS_SECCOMP,
			number(unix.SECCOMP_SET_MODE_FILTER), number(s.FilterFlags), program(s.Filter)))
	}
	high, low := s.Nonce&^0xffffffff, s.Nonce<<32
	marks.isolated = len(plan)
	plan = append(plan, do("leave the host's descriptors", unix.SYS_CLOSE_RANGE, number(3),
		number(high|0xffffffff), number(low|unix.CLOSE_RANGE_UNSHARE|unix.CLOSE_RANGE_CLOEXEC)))
	for target, source := range s.Files {
		plan = append(plan, do(placing(target), unix.SYS_DUP3, number(source), number(high|uint64(target)), number(low)))
	}
	marks.execute = len(plan)
	argv, env := &once{of: vector(s.Argv)}, &once{of: vector(s.Env)}
	for _, path := range append([]string{s.Path}, s.Alternatives...) {
		plan = append(plan, do("execute "+path, unix.SYS_EXECVE, text(path), argv, env))
	}
	return plan, marks
}

// identityPlan makes every number of the command the one that its namespace has a map for, once the maps are there.
func identityPlan(id *Identity) []step {
	if id == nil {
		return nil
	}
	var plan []step
	if id.DropGroups {
		plan = append(plan, do("drop the supplementary groups", unix.SYS_SETGROUPS))
	}
	return append(plan,
		do("set the group", unix.SYS_SETRESGID, number(id.GID), number(id.GID), number(id.GID)),
		do("set the user", unix.SYS_SETRESUID, number(id.UID), number(id.UID), number(id.UID)))
}

// placing names the step that gives the command one of its descriptors.
func placing(target int) string {
	names := [...]string{"stdin", "stdout", "stderr"}
	if target < len(names) {
		return "place " + names[target]
	}
	return "place descriptor " + strconv.Itoa(target)
}

func planSize(plan []step) int {
	total := 0
	for _, s := range plan {
		for _, arg := range s.args {
			total += arg.size()
		}
	}
	return total
}
