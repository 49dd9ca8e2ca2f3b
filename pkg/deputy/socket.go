package deputy

import (
	"cmp"
	"errors"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// UseFile finds the file that a path of a task's means, links followed, and does something inside of the domain as the
// task: with the file's name, and with a path that leads this thread to it, wherever the task's leads by then. The
// error is that of do, or says with its errno why there is no file to use.
func (d *Deputy) UseFile(n *notify.Notification, path string, do func(name, link string) error) error {
	return d.as(n, path, func(r *request) error {
		fd, err := r.find(0, true)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		name, err := nameOf(fd)
		if err != nil {
			return err
		}
		return do(name, ownLink(fd))
	})
}

// InFolder does something inside of the domain as the task, where relative paths mean what they mean to the task. It is
// about a path whose folder is there, and that leads through no magic link: here that would be another process's.
func (d *Deputy) InFolder(n *notify.Notification, path string, do func() error) error {
	return d.as(n, path, func(r *request) error {
		folder, _, err := r.parent(0)
		if err != nil {
			return err
		}
		unix.Close(folder)
		if err := unix.Fchdir(r.places[0].base); err != nil {
			return err
		}
		defer unix.Chdir("/") // holds no folder of the task's
		return do()
	})
}

// as does something with a path as the task.
func (d *Deputy) as(n *notify.Notification, path string, do func(*request) error) error {
	var outcome error
	result, err := d.performAs(call{paths: here, do: func(r *request) Result {
		outcome = do(r)
		return returned(outcome)
	}}, n, nil, []string{path})
	if result.Errno != 0 && (outcome == nil || errors.Is(outcome, errOutside)) {
		outcome = result.Errno
	}
	return cmp.Or(err, outcome)
}
