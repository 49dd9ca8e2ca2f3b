package limits

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// memory measures the memory that nothing but the tree needs: what is not pages of files, in RAM or swapped out.
type memory struct{ most atomic.Uint64 }

// How fast a tree can take memory, at most: what two CPUs can clear in a second, generously.
const takes = 8 << 30

func (m *memory) look(t Tree) (exceeded bool, pause time.Duration, err error) {
	const soonest, latest = 5 * time.Millisecond, 100 * time.Millisecond
	most := m.most.Load()
	if most == Unlimited {
		return false, latest, nil
	}
	used, err := m.used(t)
	if err != nil || used > most {
		return err == nil, 0, err
	}
	pause = time.Duration(float64(most-used) / takes * float64(time.Second))
	return false, max(soonest, min(pause, latest)), nil
}

// used is in bytes. What is cheap to find out comes first: it counts pages that processes share for each of them.
func (m *memory) used(t Tree) (uint64, error) {
	found, err := descendants(t.Root)
	if err != nil {
		return 0, err
	}
	shared := newObjects()
	var private uint64
	var counted []process
	for _, p := range found {
		if p.pid == t.Command && p.loading() {
			continue // its memory is the host's still
		}
		size, err := ofProcess(p.seenBy(), shared, t.given)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		private += size
		counted = append(counted, p)
	}
	if private+shared.size() <= m.most.Load() {
		return private + shared.size(), nil
	}
	private = 0
	for i, p := range counted {
		if p.loading() && sharesMemory(p, counted[:i]) {
			continue
		}
		size, err := proportional(p.seenBy())
		if err != nil {
			return 0, err
		}
		private += size
	}
	return private + shared.size(), nil
}

// ofProcess gives what /proc/PID/status calls anonymous and swapped, and enters the shared memory that it finds.
func ofProcess(pid int, shared objects, given map[inode]bool) (private uint64, err error) {
	folder := "/proc/" + strconv.Itoa(pid)
	sizes, err := readSizes(folder + "/status")
	if err != nil {
		return 0, err
	}
	private = sizes["RssAnon"] + sizes["VmSwap"]
	err = errors.Join(shared.addMapped(folder), shared.addOpen(pid, inMemory, given))
	if errors.Is(err, fs.ErrPermission) {
		// It keeps others from looking (PR_SET_DUMPABLE): what it shares is what it has touched.
		return private + sizes["RssShmem"], nil
	}
	return private, err
}

// proportional divides pages by how many processes have them.
func proportional(pid int) (uint64, error) {
	folder := "/proc/" + strconv.Itoa(pid)
	sizes, err := readSizes(folder + "/smaps_rollup")
	if err == nil {
		return sizes["Pss_Anon"] + sizes["SwapPss"], nil
	}
	if sizes, err = readSizes(folder + "/status"); err == nil {
		return sizes["RssAnon"] + sizes["VmSwap"], nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return 0, err
}

// readSizes reads the lines of a file in /proc that are sizes: "Name:  12 kB".
func readSizes(path string) (map[string]uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, gone(err)
	}
	sizes := make(map[string]uint64)
	for line := range bytes.Lines(text) {
		name, value, _ := strings.Cut(string(line), ":")
		if number, ok := strings.CutSuffix(strings.TrimSpace(value), " kB"); ok {
			size, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, name, err)
			}
			sizes[name] = size << 10
		}
	}
	return sizes, nil
}

// sharesMemory reports whether a process has the memory of another, as after vfork(2): kcmp(2). Where the host may not
// ask it has not.
func sharesMemory(p process, others []process) bool {
	const kcmpVM = 1
	for _, other := range others {
		if same, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(p.pid), uintptr(other.pid), kcmpVM, 0, 0, 0); errno == 0 &&
			same == 0 {
			return true
		}
	}
	return false
}

// Objects are pieces of shared memory and files without a name, which exist as long as somebody has them mapped or open.
type objects struct {
	open   map[inode]uint64 // by how much of them exists
	mapped map[inode]uint64 // by how much of them could
}

type inode struct {
	device uint64
	number uint64
}

func newObjects() objects { return objects{make(map[inode]uint64), make(map[inode]uint64)} }

func (o objects) size() (total uint64) {
	for _, size := range o.open {
		total += size
	}
	for id, size := range o.mapped {
		if _, known := o.open[id]; !known {
			total += size
		}
	}
	return total
}

// addMapped enters the shared memory that is mapped. How much of it exists cannot be seen here: it counts in full, unless
// somebody has it open.
func (o objects) addMapped(folder string) error {
	file, err := os.Open(folder + "/maps")
	if err != nil {
		return gone(err)
	}
	defer file.Close()
	sizes, err := readMappings(file)
	if err != nil {
		return fmt.Errorf("read %s/maps: %w", folder, gone(err))
	}
	for id, size := range sizes {
		o.mapped[id] = max(o.mapped[id], size)
	}
	return nil
}

// readMappings gives the sizes of shared memory in a file as of proc_pid_maps(5). The path of a mapped file, and so its
// line, can be of any length. Those that are about shared memory are short.
func readMappings(file io.Reader) (map[inode]uint64, error) {
	sizes := make(map[inode]uint64)
	for lines := bufio.NewReader(file); ; {
		line, long, err := lines.ReadLine()
		if errors.Is(err, io.EOF) {
			return sizes, nil
		}
		if err != nil {
			return nil, err
		}
		id, size, shared, err := readMapping(string(line))
		if err != nil {
			return nil, err
		}
		if shared && !long {
			sizes[id] += size
		}
		for long && err == nil {
			_, long, err = lines.ReadLine()
		}
	}
}

// isShared tells shared memory from files that were deleted.
func isShared(path string) bool {
	return path == "/dev/zero" || strings.HasPrefix(path, "/memfd:") || strings.HasPrefix(path, "/SYSV")
}

// readMapping reads a line of proc_pid_maps(5), as far as it is about shared memory:
//
//	7f0000000000-7f0000001000 rw-s 00000000 00:01 1027 /dev/zero (deleted)
func readMapping(line string) (id inode, size uint64, shared bool, err error) {
	fields := strings.Fields(line)
	if len(fields) < 7 || !strings.HasSuffix(fields[1], "s") || fields[len(fields)-1] != "(deleted)" || !isShared(fields[5]) {
		return inode{}, 0, false, nil
	}
	first, last, _ := strings.Cut(fields[0], "-")
	major, minor, _ := strings.Cut(fields[3], ":")
	var numbers [4]uint64
	for i, text := range []string{first, last, major, minor} {
		if numbers[i], err = strconv.ParseUint(text, 16, 64); err != nil {
			return inode{}, 0, false, err
		}
	}
	id.device = unix.Mkdev(uint32(numbers[2]), uint32(numbers[3]))
	id.number, err = strconv.ParseUint(fields[4], 10, 64)
	return id, numbers[1] - numbers[0], true, err
}

// addOpen enters open files without a name, of memfd_create(2) or deleted, that are of a kind and none of the given.
func (o objects) addOpen(pid int, kind func(unix.Stat_t, unix.Statfs_t) bool, given map[inode]bool) error {
	folder := "/proc/" + strconv.Itoa(pid) + "/fd"
	names, err := namesIn(folder)
	if err != nil {
		return gone(err)
	}
	for _, name := range names {
		path := folder + "/" + name
		var info unix.Stat_t
		err := unix.Stat(path, &info)
		if errors.Is(err, unix.EACCES) {
			return fmt.Errorf("look at %s: %w", path, err)
		}
		if err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG || info.Nlink != 0 {
			continue
		}
		id := inode{info.Dev, info.Ino}
		var system unix.Statfs_t
		if !given[id] && unix.Statfs(path, &system) == nil && kind(info, system) {
			o.open[id] = max(o.open[id], uint64(info.Blocks)*blockSize)
		}
	}
	return nil
}

func inMemory(_ unix.Stat_t, system unix.Statfs_t) bool {
	return system.Type == unix.TMPFS_MAGIC || system.Type == unix.HUGETLBFS_MAGIC
}

// blockSize is the unit of st_blocks, whatever the file system's blocks are; see stat(3type).
const blockSize = 512

func namesIn(path string) ([]string, error) {
	folder, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.Readdirnames(-1)
}
