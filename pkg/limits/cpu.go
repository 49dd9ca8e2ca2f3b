package limits

import (
	"io/fs"
	"time"
)

// cpu keeps a tree from using more than a part of one core, on average: it stops the tree until what it has used is
// what it may have used by then.
type cpu struct {
	rate float64 // seconds of CPU time a second

	last    time.Time
	total   time.Duration // of everything that has ended, and of what runs
	own     map[identity]time.Duration
	credit  time.Duration // what may be used before the tree is stopped
	stopped bool
}

// period is over how long the use of a tree is levelled out.
const period = 100 * time.Millisecond

// soon is after what time a busy tree is looked at again.
const soon = period / 5

func (c *cpu) look(t Tree) (exceeded bool, pause time.Duration, err error) {
	used, err := c.used(t.Root)
	if err != nil {
		return false, 0, err
	}
	now := time.Now()
	if c.last.IsZero() {
		used = 0
	} else {
		earned := time.Duration(c.rate * float64(now.Sub(c.last)))
		c.credit = min(c.credit+earned-used, time.Duration(c.rate*float64(period)))
	}
	c.last = now
	if c.credit < 0 {
		c.stopped = true
		// Not the whole time at once: who was not yet stopped may have continued another one.
		return false, min(soon, time.Duration(float64(-c.credit)/c.rate)), t.Stop(true)
	}
	if c.stopped {
		c.stopped = false
		err = t.Stop(false)
	}
	if used == 0 {
		return false, period, err
	}
	return false, soon, err
}

// used is the CPU time since the last look. Of processes that end while their parents ignore it (SIGCHLD), the kernel
// tells nobody the time: what they use between the last look and their end is lost.
func (c *cpu) used(root int) (time.Duration, error) {
	reaper := process{pid: root}
	if err := reaper.read(); err != nil {
		return 0, err
	}
	found, err := descendants(root)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return 0, fs.ErrNotExist
	}
	total, fresh := reaper.reaped, time.Duration(0)
	own := make(map[identity]time.Duration, len(found))
	for _, p := range found {
		total += p.own + p.reaped
		own[p.identity()] = p.own
		fresh += p.own - c.own[p.identity()]
	}
	used := max(total-c.total, fresh, 0)
	c.total, c.own = total, own
	return used, nil
}
