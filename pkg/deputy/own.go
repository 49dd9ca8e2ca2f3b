package deputy

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An ownFile is a file in the task's own folder of /proc. Only a thread outside of the domain can open it: Landlock
// keeps the domain's threads from looking into a process beside them.
type ownFile struct {
	folder string // below /proc
	rest   string // the path from there
	thread bool   // the folder is the thread's, not the process's
	follow bool   // the file is a magic link, to be followed
	how    unix.OpenHow
}

// errOutside says that the call needs an ownFile: request.missing.
var errOutside = errors.New("to be opened outside of the domain")

// ownFileOf tells whether the name of a file is below a folder of /proc that is the task's own. Those of the host's own
// process stand for the task's: they are what the kernel finds as /proc/self.
func (c caller) ownFileOf(name string) (ownFile, bool) {
	path, found := strings.CutPrefix(name, "/proc/")
	number, rest, _ := strings.Cut(path, "/")
	if !found {
		return ownFile{}, false
	}
	own := ownFile{folder: number, rest: rest}
	switch id, err := strconv.Atoi(number); {
	case err != nil:
		return ownFile{}, false
	case id == c.task || id == c.process:
	case ofHost(id):
		own.folder = strconv.Itoa(c.process)
	default:
		return ownFile{}, false
	}
	if path, found := strings.CutPrefix(rest, "task/"); found {
		number, below, _ := strings.Cut(path, "/")
		if id, err := strconv.Atoi(number); err == nil && ofHost(id) {
			number = strconv.Itoa(c.task)
		}
		own.folder, own.rest, own.thread = own.folder+"/task/"+number, below, true
	}
	return own, true
}

// ofHost reports whether a number in /proc is of this process, or of one of its threads: those have folders there, too.
func ofHost(id int) bool {
	return id == os.Getpid() || unix.Access("/proc/self/task/"+strconv.Itoa(id), unix.F_OK) == nil
}

// isMagic reports whether the file is one of the links that lead to what the task has open.
func (f ownFile) isMagic() bool {
	if number, found := strings.CutPrefix(f.rest, "fd/"); found {
		_, err := strconv.ParseUint(number, 10, 31)
		return err == nil
	}
	return f.rest == "exe" || f.rest == "cwd" || f.rest == "root"
}

// open opens the file. The calling thread is outside of the domain.
func (f ownFile) open() (int, error) {
	folder := "/proc/" + f.folder
	if f.follow {
		return openat2(unix.AT_FDCWD, folder+"/"+f.rest, unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	}
	base, err := openat2(unix.AT_FDCWD, folder, unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	if err != nil {
		return -1, err
	}
	defer unix.Close(base)
	rest := f.rest
	if rest == "" {
		rest = "."
	}
	how := f.how
	how.Resolve = unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_BENEATH
	return openat2(base, rest, how)
}

// allowed finds out, inside of the domain, whether the task might open its file: whether the same file of the host's
// process can be opened.
func (f ownFile) allowed() error {
	folder := "/proc/self/"
	if f.thread {
		folder = "/proc/thread-self/"
	}
	how := f.how
	how.Resolve = unix.RESOLVE_NO_MAGICLINKS
	fd, err := openat2(unix.AT_FDCWD, folder+f.rest, how)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// take gives a descriptor of an ownFile, or errOutside until that was opened.
func (r *request) take(file ownFile) (int, error) {
	fd, ok := r.taken[file]
	if !ok {
		r.missing = &file
		return -1, errOutside
	}
	return duplicate(fd)
}

// readingCapabilities are what the host needs of its own to open a task's files in /proc: CAP_DAC_OVERRIDE,
// CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
const readingCapabilities = 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_SYS_PTRACE

// openMissing opens what take asked for, outside of the domain. What some of these files show depends on the
// capabilities of who opened them.
func (r *request) openMissing() error {
	file := *r.missing
	r.missing = nil
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := ownCredentials()
	if err != nil {
		return err
	}
	if fewer := own.capabilities & (r.caller.capabilities | readingCapabilities); fewer != own.capabilities {
		if err := setCapabilities(fewer); err != nil {
			return fmt.Errorf("lower the own capabilities: %w", err)
		}
		defer setCapabilities(own.capabilities)
	}
	fd, err := file.open()
	if err != nil {
		return err
	}
	r.taken[file] = fd
	return nil
}
