package limits

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A walk adds up the sizes of files, each once. The tree exchanges them meanwhile: what a name leads to is opened only
// if it is a folder, and no link is followed.
type walk struct {
	hidden func(inode) // is told of folders that cannot be read

	total  uint64
	seen   map[inode]bool
	way    []level // to where the walk is
	buffer []byte  // of names
}

// A level is a folder on the way.
type level struct {
	id      inode
	fd      int     // notOpen while too many others are
	folders []entry // that the walk has not been to yet
}

// An entry is a folder's name in another one, and what it was when that was read.
type entry struct {
	name string
	id   inode
}

const notOpen = -1

// mostOpen is how many folders a walk keeps open: the tree may make them deeper than the host has descriptors.
const mostOpen = 64

// errMoved says that a folder is no longer where the walk has entered it.
var errMoved = errors.New("a folder was moved")

func newWalk(hidden func(inode)) *walk {
	return &walk{hidden: hidden, seen: make(map[inode]bool), buffer: make([]byte, 32<<10)}
}

// all walks through files and folders. The error is a lack of the host's.
func (w *walk) all(roots []*os.File) (uint64, error) {
	defer w.leaveAll()
	for _, root := range roots {
		var info unix.Stat_t
		fd := int(root.Fd())
		if err := unix.Fstat(fd, &info); err != nil {
			return 0, fmt.Errorf("measure %s: %w", root.Name(), err)
		}
		if info.Mode&unix.S_IFMT != unix.S_IFDIR {
			w.add(&info)
			continue
		}
		err := w.enter(fd, entry{".", inode{info.Dev, info.Ino}})
		for err == nil && len(w.way) > 0 {
			err = w.step()
		}
		if err != nil {
			return 0, fmt.Errorf("measure %s: %w", root.Name(), err)
		}
	}
	return w.total, nil
}

// add counts at least one block for each file: it takes space even if it is empty.
func (w *walk) add(info *unix.Stat_t) {
	kind, id := info.Mode&unix.S_IFMT, inode{info.Dev, info.Ino}
	if kind == unix.S_IFCHR || kind == unix.S_IFBLK || w.seen[id] {
		return
	}
	if kind == unix.S_IFDIR || info.Nlink > 1 {
		w.seen[id] = true
	}
	w.total += uint64(max(info.Blocks, 1)) * blockSize
}

// step goes to the next folder, down or up.
func (w *walk) step() error {
	here := &w.way[len(w.way)-1]
	if last := len(here.folders) - 1; last >= 0 {
		next := here.folders[last]
		here.folders = here.folders[:last]
		return w.enter(here.fd, next)
	}
	return w.leave()
}

// enter counts a folder, and what is in it, but for what is in folders there.
func (w *walk) enter(parent int, folder entry) error {
	fd, err := openFolder(parent, folder.name)
	if err != nil {
		return w.missed(folder.id, err)
	}
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		unix.Close(fd)
		return w.missed(folder.id, err)
	}
	id := inode{info.Dev, info.Ino}
	if w.seen[id] {
		unix.Close(fd)
		return nil
	}
	w.add(&info)
	w.way = append(w.way, level{id: id, fd: fd})
	if above := len(w.way) - 1 - mostOpen; above >= 0 {
		unix.Close(w.way[above].fd)
		w.way[above].fd = notOpen
	}
	return w.list(&w.way[len(w.way)-1])
}

// list counts what is in a folder, and notes the folders among it.
func (w *walk) list(here *level) error {
	names, err := w.names(here.fd)
	if err != nil {
		return w.missed(here.id, err)
	}
	for _, name := range names {
		var info unix.Stat_t
		err := unix.Fstatat(here.fd, name, &info, unix.AT_SYMLINK_NOFOLLOW)
		switch {
		case err != nil:
			if err := w.missed(here.id, err); err != nil {
				return err
			}
		case info.Mode&unix.S_IFMT == unix.S_IFDIR:
			here.folders = append(here.folders, entry{name, inode{info.Dev, info.Ino}})
		default:
			w.add(&info)
		}
	}
	return nil
}

// leave goes back up. A folder that was closed meanwhile is opened again from below, unless that one was moved.
func (w *walk) leave() (err error) {
	last := len(w.way) - 1
	below := w.way[last]
	w.way = w.way[:last]
	defer unix.Close(below.fd)
	if last == 0 || w.way[last-1].fd != notOpen {
		return nil
	}
	above := &w.way[last-1]
	if above.fd, err = openFolder(below.fd, ".."); err == nil {
		var info unix.Stat_t
		if err = unix.Fstat(above.fd, &info); err == nil && above.id == (inode{info.Dev, info.Ino}) {
			return nil
		}
		err = errors.Join(err, errMoved)
	}
	id := above.id
	w.leaveAll()
	return w.missed(id, err)
}

func (w *walk) leaveAll() {
	for _, folder := range w.way {
		if folder.fd != notOpen {
			unix.Close(folder.fd)
		}
	}
	w.way = nil
}

// missed says what it means that a folder, or something in it, could not be looked at: nothing where it is gone, or no
// folder any more. A lack of the host's is the error.
func (w *walk) missed(id inode, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
		return err
	}
	w.hidden(id)
	return nil
}

// openFolder opens no FIFO or device, which could block or do something: with O_DIRECTORY the kernel looks before.
func openFolder(parent int, name string) (fd int, err error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	for {
		if fd, err = unix.Openat(parent, name, flags, 0); !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

func (w *walk) names(folder int) (names []string, err error) {
	for {
		n, err := unix.ReadDirent(folder, w.buffer)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case n <= 0 || err != nil:
			return names, err
		}
		_, _, names = unix.ParseDirent(w.buffer[:n], -1, names)
	}
}
