package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// A Watch looks at a tree at intervals, and ends it when it uses more than it may: for limits that the kernel does not
// keep for a tree.
type Watch struct {
	gauges  map[string]gauge // by the field of the policy
	disk    *disk            // one of them, or nil
	memory  *memory          // another, or nil
	over    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	exceeded string
	errs     []error
}

// A gauge measures what a tree uses.
type gauge interface {
	// look says whether it is too much, and when to look again at the earliest: what could be used up till then must be
	// little.
	look(Tree) (exceeded bool, pause time.Duration, err error)
}

// A Tree is what is watched.
type Tree struct {
	Root    int              // the descendants of this process are the tree
	Command int              // the first of them, which shares the host's memory until it executes its program
	Kill    func() error     // ends it
	Stop    func(bool) error // stops it, or lets it go on
	Files   []int            // descriptors of what the host has given it, which does not count

	given map[inode]bool
}

// NewWatch measures what is there before the tree, for what the group, which may be nil, does not bound. It gives nil
// where there is nothing to watch; else End must be called.
func NewWatch(rules *policy.Policy, group *Group) (*Watch, error) {
	w := &Watch{gauges: make(map[string]gauge), over: make(chan struct{})}
	if rules.MaxMemory != nil && !group.Keeps("max_memory") {
		w.memory = &memory{}
		w.memory.most.Store(*rules.MaxMemory)
		w.gauges["max_memory"] = w.memory
	}
	if percent, set := rules.CPUPercent(); set && !group.Keeps("max_cpu") {
		w.gauges["max_cpu"] = &cpu{rate: float64(percent) / 100}
	}
	if rules.MaxDisk != nil {
		var err error
		if w.disk, err = newDisk(*rules.MaxDisk, rules.FSWritable); err != nil {
			return nil, err
		}
		w.gauges["max_disk"] = w.disk
	}
	if len(w.gauges) == 0 {
		return nil, nil
	}
	return w, nil
}

// RestrictMemory lowers max_memory from now on; what is not lower changes nothing.
func (w *Watch) RestrictMemory(most uint64) {
	for now := w.memory.most.Load(); most < now; now = w.memory.most.Load() {
		if w.memory.most.CompareAndSwap(now, most) {
			return
		}
	}
}

// Begin watches until End.
func (w *Watch) Begin(t Tree) {
	t.given = make(map[inode]bool)
	for _, fd := range t.Files {
		var info unix.Stat_t
		if unix.Fstat(fd, &info) == nil {
			t.given[inode{info.Dev, info.Ino}] = true
		}
	}
	for field, g := range w.gauges {
		w.running.Go(func() { w.follow(field, g, t) })
	}
}

// The host gives at most a tenth of one CPU to each gauge.
const share = 10

func (w *Watch) follow(field string, g gauge, t Tree) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.over:
			return
		case <-timer.C:
		}
		begin := time.Now()
		exceeded, pause, err := g.look(t)
		if errors.Is(err, fs.ErrNotExist) {
			return // the tree is gone, root and all
		}
		if exceeded || err != nil {
			w.stop(field, err, t)
			return
		}
		timer.Reset(max(pause, share*time.Since(begin)))
	}
}

// stop ends a tree that uses too much, or whose use cannot be told.
func (w *Watch) stop(field string, err error, t Tree) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.errs = append(w.errs, fmt.Errorf("watch %s: %w", field, err))
	} else if w.exceeded == "" {
		w.exceeded = field
	}
	if err := t.Kill(); err != nil {
		w.errs = append(w.errs, fmt.Errorf("end a tree that exceeds %s: %w", field, err))
	}
}

// End stops watching, and names the limit that the tree was ended for, or that it turns out to have exceeded, or "".
func (w *Watch) End() (exceeded string, err error) {
	close(w.over)
	w.running.Wait()
	if w.disk != nil {
		over, err := w.disk.over()
		if err != nil {
			w.errs = append(w.errs, fmt.Errorf("watch max_disk: %w", err))
		}
		if w.exceeded == "" && over {
			w.exceeded = "max_disk"
		}
		w.disk.close()
	}
	return w.exceeded, errors.Join(w.errs...)
}
