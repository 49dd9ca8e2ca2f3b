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

// lookUp finds the program's file as execvp(3) does in the command's working directory, which is dir or, for -1, the
// host's: the first file that may be executed, and one that may not be only where there is no other.
func lookUp(program string, environ []string, dir int) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	path, found := "", false
	for _, entry := range environ {
		if path, found = strings.CutPrefix(entry, "PATH="); found {
			break
		}
	}
	if !found {
		return "", fmt.Errorf("%q: %w: the command has no PATH", program, errNotOnPath)
	}
	if dir < 0 {
		dir = unix.AT_FDCWD
	}
	unusable := ""
	for folder := range strings.SplitSeq(path, ":") {
		file := cmp.Or(folder, ".") + "/" + program // POSIX: an empty entry is the working directory
		if !isFile(dir, file) {
			continue
		}
		if unix.Faccessat(dir, file, unix.X_OK, 0) == nil {
			return file, nil
		}
		if unusable == "" {
			unusable = file
		}
	}
	if unusable != "" {
		return unusable, nil
	}
	return "", fmt.Errorf("%q: %w (%s)", program, errNotOnPath, path)
}

// isFile reports whether a path leads to something other than a folder.
func isFile(dir int, path string) bool {
	var info unix.Stat_t
	for {
		err := unix.Fstatat(dir, path, &info, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && info.Mode&unix.S_IFMT != unix.S_IFDIR
		}
	}
}
