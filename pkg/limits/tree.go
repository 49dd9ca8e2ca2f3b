package limits

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A process is what /proc tells of one.
type process struct {
	pid     int
	parent  int // the thread that made it, or who has adopted it
	start   uint64
	state   byte
	flags   uint64
	threads int
	own     time.Duration // CPU time of its threads
	reaped  time.Duration // and of the children that it has waited for
}

// An identity is no other process's, as its number may be later.
type identity struct {
	pid   int
	start uint64
}

func (p process) identity() identity { return identity{p.pid, p.start} }

// loading reports whether a process was forked and has not executed a program since: PF_FORKNOEXEC of the kernel.
func (p process) loading() bool { return p.flags&0x40 != 0 }

// ending reports whether a task has begun to end, and may have given up its memory: PF_EXITING of the kernel. Nobody
// but root may look at what has no memory any more, such as a zombie.
func (p process) ending() bool { return p.flags&0x4 != 0 }

func isEnding(task int) bool { return isGoneOr(task, process.ending) }

// isGoneOr reports whether there is no such task any more, or something holds for it.
func isGoneOr(task int, holds func(process) bool) bool {
	p := process{pid: task}
	err := p.read()
	return errors.Is(err, fs.ErrNotExist) || err == nil && holds(p)
}

// seenBy is a thread by which the memory and the files of a process can be seen: the first one, unless it has ended
// before others.
func (p process) seenBy() int {
	if !p.ending() || p.threads < 2 {
		return p.pid
	}
	threads, _ := threadsOf(p.pid) // none of a process that is gone
	for _, name := range threads {
		if task, err := strconv.Atoi(name); err == nil && !isEnding(task) {
			return task
		}
	}
	return p.pid
}

// descendants are the processes below root, zombies included. One that is forked meanwhile may be missing.
func descendants(root int) ([]process, error) {
	var found []process
	seen := make(map[int]bool)
	for {
		before := len(seen)
		waiting, err := children(root)
		if err != nil {
			return nil, fmt.Errorf("find the tree's processes: %w", err)
		}
		for len(waiting) > 0 {
			p := waiting[len(waiting)-1]
			waiting = waiting[:len(waiting)-1]
			if seen[p.pid] {
				continue
			}
			seen[p.pid] = true
			below, err := children(p.pid)
			if err == nil {
				err = p.read()
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("find the tree's processes: %w", err)
			}
			found, waiting = append(found, p), append(waiting, below...)
		}
		// Whose parents have ended meanwhile are the root's by now: look again, until there is none that is new.
		if len(seen) == before {
			return found, nil
		}
	}
}

// children are those of all threads of a process, see proc_tid_children(5).
func children(pid int) ([]process, error) {
	folder := "/proc/" + strconv.Itoa(pid) + "/task/"
	threads, err := threadsOf(pid)
	if err != nil {
		return nil, err
	}
	var found []process
	for _, thread := range threads {
		parent, err := strconv.Atoi(thread)
		if err != nil {
			return nil, fmt.Errorf("the threads of process %d: %w", pid, err)
		}
		text, err := os.ReadFile(folder + thread + "/children")
		if err != nil && len(threads) == 1 {
			return nil, gone(err)
		}
		for _, field := range bytes.Fields(text) {
			child, err := strconv.Atoi(string(field))
			if err != nil {
				return nil, fmt.Errorf("the children of process %d: %w", pid, err)
			}
			found = append(found, process{pid: child, parent: parent})
		}
	}
	return found, nil
}

// threadsOf fails where a process is there and not in /proc: hidepid of proc(5) hides one that lets nobody look at it.
func threadsOf(pid int) ([]string, error) {
	for tries := 0; ; tries++ {
		names, err := namesIn("/proc/" + strconv.Itoa(pid) + "/task")
		if err = gone(err); !errors.Is(err, fs.ErrNotExist) || unix.Kill(pid, 0) != nil {
			return names, err
		}
		if tries == 2 { // no other one that has got its number just now
			return nil, fmt.Errorf("process %d is hidden in /proc (hidepid, PR_SET_DUMPABLE)", pid)
		}
	}
}

// ticks are the unit of times in /proc: USER_HZ is 100 on all that we run on.
const ticks = time.Second / 100

// read fills in what proc_pid_stat(5) tells.
func (p *process) read() error {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/stat")
	if err != nil {
		return gone(err)
	}
	// The name, in parentheses, may hold anything; the third field follows it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	number := func(field int) uint64 {
		if field-3 >= len(fields) {
			err = errors.New("too few fields")
			return 0
		}
		value, failed := strconv.ParseUint(string(fields[field-3]), 10, 64)
		err = errors.Join(err, failed)
		return value
	}
	if len(fields) > 0 {
		p.state = fields[0][0]
	}
	p.flags, p.threads, p.start = number(9), int(number(20)), number(22)
	p.own, p.reaped = ticks*time.Duration(number(14)+number(15)), ticks*time.Duration(number(16)+number(17))
	if err != nil {
		return fmt.Errorf("read /proc/%d/stat: %w", p.pid, err)
	}
	return nil
}

// gone makes ESRCH, which files of /proc give that were opened before their process ended, fs.ErrNotExist as well. Where
// /proc may not be read, it says what for it is.
func gone(err error) error {
	switch {
	case errors.Is(err, unix.ESRCH):
		return fs.ErrNotExist
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; limits of a tree are watched in /proc: a sandbox that this process is in has to grant it", err)
	}
	return err
}
