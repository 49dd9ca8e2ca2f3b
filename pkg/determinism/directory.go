package determinism

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"sandlock/pkg/interrupt"
	"sandlock/pkg/notify"
	"sandlock/pkg/proc"
	"sandlock/pkg/supervise"
)

// Directories give the entries of directories in the order of their names. The whole directory is read through a
// duplicate of the task's descriptor when it is read from its start, and handed out from memory: so what is removed
// meanwhile moves nothing. The position of the descriptor, which lseek(2) and telldir(3) see, counts the entries that
// were handed out.
type directories struct {
	mu       sync.Mutex
	listings map[descriptor]listing
	oldest   []descriptor // by when they were read
	entries  int          // of all listings
}

// A descriptor names what a task reads from. The kernel tells no name of an open file; a file that is opened under the
// same number again is read from its start, and a copy of the descriptor elsewhere has its directory read anew.
type descriptor struct {
	process, fd int
	device      uint64
	inode       uint64
}

type listing []entry

type entry struct {
	inode uint64
	kind  byte // DT_..., see readdir(3)
	name  string
}

// What a task can make the host remember: maxListings directories with maxEntries together.
const (
	maxListings = 256
	maxEntries  = 1 << 18
)

func (d *directories) getdents(n *notify.Notification) supervise.Action {
	args := n.Args()
	length, err := d.read(n, int(int32(args[0])), args[1], int(uint32(args[2])))
	switch {
	case errors.Is(err, notify.ErrGone):
		return supervise.Continue() // nobody is there to see it
	case err != nil:
		return supervise.Fail(notify.ErrnoOf(err))
	}
	return supervise.Return(int64(length))
}

// read writes entries to the task's memory and gives their length.
func (d *directories) read(n *notify.Notification, fd int, address uint64, size int) (int, error) {
	process, _, err := proc.Lineage(n.Task())
	if err != nil {
		return 0, err
	}
	own, err := n.Descriptor(fd) // whose validation holds for what was read before
	if err != nil {
		return 0, err
	}
	defer interrupt.Close(own)
	var st unix.Stat_t
	if err := unix.Fstat(own, &st); err != nil {
		return 0, fmt.Errorf("look at the directory: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return 0, unix.ENOTDIR
	}
	position, err := unix.Seek(own, 0, unix.SEEK_CUR)
	if err != nil {
		return 0, fmt.Errorf("find the directory's position: %w", err)
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	name := descriptor{process, fd, uint64(st.Dev), st.Ino}
	entries, known := d.listings[name]
	if position == 0 || !known {
		if entries, err = list(own); err != nil {
			return 0, errors.Join(err, restore(own, position))
		}
		d.remember(name, entries)
	}
	var data []byte
	count := 0
	first := int(min(position, int64(len(entries))))
	for first+count < len(entries) {
		next := encode(n.Syscall(), entries[first+count], int64(first+count+1))
		if len(data)+len(next) > size {
			break
		}
		data = append(data, next...)
		count++
	}
	if count == 0 && first < len(entries) {
		return 0, errors.Join(unix.EINVAL, restore(own, position)) // not even one fits
	}
	if err := n.Write(data, address); err != nil {
		return 0, errors.Join(err, restore(own, position))
	}
	return len(data), restore(own, int64(first+count))
}

func restore(fd int, position int64) error {
	if _, err := unix.Seek(fd, position, unix.SEEK_SET); err != nil {
		return fmt.Errorf("set the directory's position: %w", err)
	}
	return nil
}

func (d *directories) remember(name descriptor, entries listing) {
	if d.listings == nil {
		d.listings = make(map[descriptor]listing)
	}
	d.forget(name)
	for len(d.oldest) > 0 && (len(d.oldest) >= maxListings || d.entries+len(entries) > maxEntries) {
		d.forget(d.oldest[0])
	}
	d.listings[name] = entries
	d.entries += len(entries)
	d.oldest = append(d.oldest, name)
}

func (d *directories) forget(name descriptor) {
	d.entries -= len(d.listings[name])
	delete(d.listings, name)
	d.oldest = slices.DeleteFunc(d.oldest, func(other descriptor) bool { return other == name })
}

// list reads a directory from its start, and sorts it.
func list(fd int) (listing, error) {
	if err := restore(fd, 0); err != nil {
		return nil, err
	}
	var entries listing
	buffer := make([]byte, 1<<16)
	for {
		count, err := unix.Getdents(fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the directory: %w", err)
		}
		if count == 0 {
			break
		}
		entries = append(entries, decode(buffer[:count])...)
		if len(entries) > maxEntries {
			return nil, fmt.Errorf("a directory of more than %d entries: %w", maxEntries, unix.ENOMEM)
		}
	}
	slices.SortFunc(entries, compare)
	return entries, nil
}

// compare orders by name, with the directory itself and the one above it first.
func compare(a, b entry) int {
	dots := func(e entry) int {
		if e.name == "." || e.name == ".." {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(dots(a), dots(b)), cmp.Compare(a.name, b.name))
}

// The fields of struct linux_dirent64 and, where it differs, of linux_dirent: see getdents(2).
const (
	offsetInode  = 0
	offsetNext   = 8
	offsetLength = 16
	offsetKind   = 18 // the older one has it in its last byte
	offsetName   = 19 // the older one: 18
)

func decode(data []byte) (entries listing) {
	for len(data) > offsetName {
		length := int(binary.NativeEndian.Uint16(data[offsetLength:]))
		if length <= offsetName || length > len(data) {
			break
		}
		name, _, _ := bytes.Cut(data[offsetName:length], []byte{0})
		entries = append(entries, entry{binary.NativeEndian.Uint64(data[offsetInode:]), data[offsetKind], string(name)})
		data = data[length:]
	}
	return entries
}

// encode makes the struct that a system call gives; next is the position behind it.
func encode(syscall int, e entry, next int64) []byte {
	older := syscall != unix.SYS_GETDENTS64
	length := offsetName + len(e.name) + 1 // both have one byte for the kind, and a NUL
	data := make([]byte, (length+7)&^7)
	binary.NativeEndian.PutUint64(data[offsetInode:], e.inode)
	binary.NativeEndian.PutUint64(data[offsetNext:], uint64(next))
	binary.NativeEndian.PutUint16(data[offsetLength:], uint16(len(data)))
	if older {
		copy(data[offsetName-1:], e.name)
		data[len(data)-1] = e.kind
	} else {
		data[offsetKind] = e.kind
		copy(data[offsetName:], e.name)
	}
	return data
}
