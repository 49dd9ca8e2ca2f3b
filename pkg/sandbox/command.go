package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// Command is what to run.
type Command struct {
	// Args are the program and its arguments. A program without a slash is looked up on the PATH of the command's own
	// environment.
	Args []string
	// Environ is the host's environment, from which the policy makes the command's: os.Environ() in a Go program.
	Environ []string

	// Stdin, Stdout and Stderr; the zero value is /dev/null. A Pipe is served by the Process.
	Stdin, Stdout, Stderr Stdio
	// Input is what a Stdin that is a Pipe reads before its end.
	Input []byte
	// ExtraFiles are open files of the host that become descriptors 3, 4 and so on, as in os/exec. They stay the
	// caller's.
	ExtraFiles []int
	// Terminal makes Stdin, a terminal that no session has, the controlling one of the command's session.
	Terminal bool
	// Held stops the command just before execve(2), until Process.Release: so its number is known before it does anything.
	Held bool
}

// Stdio is where one of the standard streams leads.
type Stdio struct {
	kind stdioKind
	fd   int
}

type stdioKind uint8

const (
	kindNull stdioKind = iota
	kindPipe
	kindFile
	kindStream
	kindStdout
)

// Null is /dev/null.
func Null() Stdio { return Stdio{} }

// Pipe is a pipe to the Process, which feeds or captures it.
func Pipe() Stdio { return Stdio{kind: kindPipe} }

// Stream is a pipe whose other end the caller takes: see Process.TakeStream.
func Stream() Stdio { return Stdio{kind: kindStream} }

// SameAsStdout leads Stderr to where Stdout leads.
func SameAsStdout() Stdio { return Stdio{kind: kindStdout} }

// File is an open file of the host. It stays the caller's, and must stay open until Start returns.
func File(fd int) Stdio { return Stdio{kind: kindFile, fd: fd} }

// Inherit is the host's own stream of that number, 0 to 2, or /dev/null where the host has closed it. Another number is
// a File: that must be open.
func Inherit(fd int) Stdio {
	if fd < 0 || fd > 2 {
		return File(fd)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return Null()
	}
	return File(fd)
}

func (c Command) check() error {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return &policy.Error{Field: "cmd", Problem: "is empty", Hint: "give the program and its arguments"}
	}
	for i, stream := range []Stdio{c.Stdin, c.Stdout} {
		if stream.kind == kindStdout {
			return &policy.Error{Field: streamName(i), Value: "SameAsStdout", Problem: "is for stderr alone",
				Hint: "give a file, a pipe or null"}
		}
	}
	for _, arg := range c.Args {
		if strings.IndexByte(arg, 0) >= 0 {
			return &policy.Error{Field: "cmd", Value: arg, Problem: "holds a NUL byte, which no argument can", Hint: "take it out"}
		}
	}
	for _, entry := range c.Environ {
		if strings.IndexByte(entry, 0) >= 0 {
			return &policy.Error{Field: "environ", Value: entry, Problem: "holds a NUL byte, which no variable can", Hint: "take it out"}
		}
	}
	return nil
}

// errNotOnPath is why a command without a slash was not found.
var errNotOnPath = errors.New("not found on PATH")

// lookUp finds the files that execvp(3) would try in the command's working directory, which is dir or, for -1, the
// host's, in turn: the sandbox may refuse the first one. A file that the host may not execute is there only where there
// is no other.
func lookUp(program string, environ []string, dir int) (files []string, err error) {
	if strings.Contains(program, "/") {
		return []string{program}, nil
	}
	path, found := "", false
	for _, entry := range environ {
		if path, found = strings.CutPrefix(entry, "PATH="); found {
			break
		}
	}
	if !found {
		return nil, fmt.Errorf("%q: %w: the command has no PATH", program, errNotOnPath)
	}
	if dir < 0 {
		dir = unix.AT_FDCWD
	}
	unusable, known := "", make(map[inode]bool)
	for folder := range strings.SplitSeq(path, ":") {
		file := cmp.Or(folder, ".") + "/" + program // POSIX: an empty entry is the working directory
		id, ok := identify(dir, file)
		switch {
		case !ok || known[id]: // on most systems /bin is /usr/bin
		case unix.Faccessat(dir, file, unix.X_OK, 0) == nil:
			files, known[id] = append(files, file), true
		case unusable == "":
			unusable = file
		}
	}
	switch {
	case len(files) > 0:
		return files, nil
	case unusable != "":
		return []string{unusable}, nil
	}
	return nil, fmt.Errorf("%q: %w (%s)", program, errNotOnPath, path)
}

type inode struct{ device, number uint64 }

// identify says which file a path leads to, if it is something other than a folder.
func identify(dir int, path string) (id inode, ok bool) {
	var info unix.Stat_t
	for {
		err := unix.Fstatat(dir, path, &info, 0)
		if !errors.Is(err, unix.EINTR) {
			return inode{info.Dev, info.Ino}, err == nil && info.Mode&unix.S_IFMT != unix.S_IFDIR
		}
	}
}
