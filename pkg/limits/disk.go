package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
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
	w := &walk{seen: make(map[inode]bool), hidden: func(id inode) { d.hidden[id] = true }}
	d.before = w.all(d.folders)
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
	nameless, err := d.nameless(t)
	if err != nil {
		return false, 0, err
	}
	grown, readable := d.grown()
	if used := grown + nameless; used <= d.most && readable {
		const soonest, latest = 5 * time.Millisecond, 100 * time.Millisecond
		pause = time.Duration(float64(d.most-used) / fills * float64(time.Second))
		return false, max(soonest, min(pause, latest)), nil
	}
	return true, 0, nil
}

// over reports whether a tree that has ended has used too much: it may have been quicker than the looks.
func (d *disk) over() bool {
	grown, readable := d.grown()
	return grown > d.most || !readable
}

// grown is by how much the folders have grown. They are not readable when one among them is that could be read, or was
// not there, before.
func (d *disk) grown() (size uint64, readable bool) {
	readable = true
	w := &walk{seen: make(map[inode]bool), hidden: func(id inode) { readable = readable && d.hidden[id] }}
	now := w.all(d.folders)
	return now - min(now, d.before), readable
}

// nameless is the size of open files that were deleted, but for those of the host. A file in memory counts where it was
// made in one of the folders; others, of memfd_create(2), are none of theirs.
func (d *disk) nameless(t Tree) (uint64, error) {
	found, err := descendants(t.Root)
	if err != nil {
		return 0, err
	}
	files := newObjects()
	for _, p := range found {
		err := files.addOpen(p.pid, d.holds, t.given)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return 0, err
		}
	}
	return files.size(), nil
}

func (d *disk) holds(file unix.Stat_t, system unix.Statfs_t) bool {
	return d.devices[file.Dev] || !inMemory(file, system)
}

// A walk adds up the sizes of files, each once.
type walk struct {
	seen   map[inode]bool
	hidden func(inode) // is told of folders that cannot be read
}

func (w *walk) all(roots []*os.File) (total uint64) {
	for _, root := range roots {
		var info unix.Stat_t
		if unix.Fstat(int(root.Fd()), &info) == nil {
			total += w.file("/proc/self/fd/"+strconv.Itoa(int(root.Fd())), &info)
		}
	}
	return total
}

// file counts at least one block for each file: it takes space even if it is empty.
func (w *walk) file(path string, info *unix.Stat_t) uint64 {
	kind, id := info.Mode&unix.S_IFMT, inode{info.Dev, info.Ino}
	if kind == unix.S_IFCHR || kind == unix.S_IFBLK || w.seen[id] {
		return 0
	}
	size := uint64(max(info.Blocks, 1)) * blockSize
	if kind == unix.S_IFDIR {
		w.seen[id] = true
		return size + w.below(path, id)
	}
	if info.Nlink > 1 {
		w.seen[id] = true
	}
	return size
}

func (w *walk) below(path string, id inode) (total uint64) {
	names, err := namesIn(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			w.hidden(id)
		}
		return 0
	}
	for _, name := range names {
		var info unix.Stat_t
		below := path + "/" + name
		switch err := unix.Lstat(below, &info); err {
		case nil:
			total += w.file(below, &info)
		case unix.ENOENT:
		default: // a path that is too long, for one
			w.hidden(id)
		}
	}
	return total
}

func namesIn(path string) ([]string, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.Readdirnames(-1)
}
