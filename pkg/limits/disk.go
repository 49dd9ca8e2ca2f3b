package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// disk measures by how much the files have grown that a tree may write, open files without a name included. Blocks
// count, not lengths.
type disk struct {
	most    uint64
	folders []*os.File      // opened once: what was granted is what is measured, wherever it is moved
	devices map[uint64]bool // that they are on
	before  uint64
	hidden  map[inode]bool // folders that could not be read before the start
}

// newDisk measures what is there before the tree.
func newDisk(most uint64, paths []string) (*disk, error) {
	d := &disk{most: most, devices: make(map[uint64]bool), hidden: make(map[inode]bool)}
	for _, path := range paths {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			d.close()
			return nil, fmt.Errorf("measure %s for max_disk: %w", path, err)
		}
		d.folders = append(d.folders, os.NewFile(uintptr(fd), path))
		var info unix.Stat_t
		if err := unix.Fstat(fd, &info); err != nil {
			d.close()
			return nil, fmt.Errorf("measure %s for max_disk: %w", path, err)
		}
		d.devices[info.Dev] = true
	}
	var err error
	if d.before, err = newWalk(func(id inode) { d.hidden[id] = true }).all(d.folders); err != nil {
		d.close()
		return nil, fmt.Errorf("measure what is there before, for max_disk: %w", err)
	}
	return d, nil
}

func (d *disk) close() {
	for _, folder := range d.folders {
		folder.Close()
	}
}

// How fast a tree can fill a disk, at most: its writes go to memory first.
const fills = 4 << 30

func (d *disk) look(t Tree) (exceeded bool, pause time.Duration, err error) {
	nameless, shown, err := d.nameless(t)
	if err != nil {
		return false, 0, err
	}
	grown, readable, err := d.grown()
	if err != nil {
		return false, 0, err
	}
	if used := grown + nameless; used <= d.most && shown && readable {
		const soonest, latest = 5 * time.Millisecond, 100 * time.Millisecond
		pause = time.Duration(float64(d.most-used) / fills * float64(time.Second))
		return false, max(soonest, min(pause, latest)), nil
	}
	return true, 0, nil
}

// over reports whether a tree that has ended has used too much: it may have been quicker than the looks.
func (d *disk) over() (bool, error) {
	grown, readable, err := d.grown()
	return err == nil && (grown > d.most || !readable), err
}

// grown is by how much the folders have grown. They are not readable when one among them is that could be read, or was
// not there, before.
func (d *disk) grown() (size uint64, readable bool, err error) {
	readable = true
	now, err := newWalk(func(id inode) { readable = readable && d.hidden[id] }).all(d.folders)
	return now - min(now, d.before), readable, err
}

// nameless is the size of open files that were deleted, but for those of the host. A file in memory counts where it was
// made in one of the folders; others, of memfd_create(2), are none of theirs. Not all are shown when a process keeps others
// from looking (PR_SET_DUMPABLE).
func (d *disk) nameless(t Tree) (size uint64, shown bool, err error) {
	found, err := descendants(t.Root)
	if err != nil {
		return 0, false, err
	}
	files := newObjects()
	shown = true
	for _, p := range found {
		if p.pid == t.Command && p.loading() {
			continue // it has the memory of the host still, which may keep others from looking
		}
		task := p.seenBy()
		err := files.addOpen(task, d.holds, t.given)
		switch {
		case errors.Is(err, fs.ErrPermission):
			shown = shown && isEnding(task)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return 0, false, err
		}
	}
	return files.size(), shown, nil
}

func (d *disk) holds(file unix.Stat_t, system unix.Statfs_t) bool {
	return d.devices[file.Dev] || !inMemory(file, system)
}
