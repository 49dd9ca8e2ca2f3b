package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
)

// open gives the descriptor that the command gets, of at least the number least, and the host's end of a pipe, or -1.
func (s Stdio) open(forReading bool, least int) (command, host int, err error) {
	host = -1
	switch s.kind {
	case kindNull:
		command, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	case kindFile:
		command, err = unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, least)
	case kindPipe, kindStream:
		var ends [2]int
		if err = unix.Pipe2(ends[:], unix.O_CLOEXEC); err == nil {
			command, host = ends[1], ends[0]
			if forReading {
				command, host = host, command
			}
			if err = unix.SetNonblock(host, s.kind == kindPipe); err != nil {
				unix.Close(command)
			}
		}
	}
	if err != nil {
		return -1, host, err
	}
	if command < least {
		low := command
		command, err = unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, least)
		unix.Close(low)
	}
	return command, host, err
}

// A capture is the host's end of a pipe that the command writes to, and what came.
type capture struct {
	fd   int // -1 without a pipe, or after its end
	data []byte
}

const leastRead = 4096

// read takes what is there, until the pipe is empty or at its end.
func (c *capture) read() error {
	for c.fd >= 0 {
		c.data = slices.Grow(c.data, leastRead)
		room := c.data[len(c.data):cap(c.data)]
		n, err := unix.Read(c.fd, room)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return errors.Join(fmt.Errorf("read the command's output: %w", err), c.close())
		case n == 0:
			return c.close()
		default:
			c.data = c.data[:len(c.data)+n]
			if n < len(room) {
				return nil // poll knows whether there is more
			}
		}
	}
	return nil
}

func (c *capture) close() error { return closePipe(&c.fd) }

// A feed is the host's end of a pipe that the command reads from, and what is still to be written.
type feed struct {
	fd   int
	rest []byte
}

// write gives what the pipe takes, and closes it after the last byte. A command that does not want more is fine.
func (f *feed) write() error {
	for f.fd >= 0 && len(f.rest) > 0 {
		var n int
		err := deputy.Quietly(func() (err error) {
			n, err = unix.Write(f.fd, f.rest)
			return err
		})
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EPIPE):
			return f.close()
		case err != nil:
			return errors.Join(fmt.Errorf("write the command's input: %w", err), f.close())
		case n == 0:
			return io.ErrShortWrite
		default:
			f.rest = f.rest[n:]
		}
	}
	return f.close()
}

func (f *feed) close() error { return closePipe(&f.fd) }

func closePipe(fd *int) error {
	if *fd < 0 {
		return nil
	}
	err := unix.Close(*fd)
	*fd = -1
	return err
}
