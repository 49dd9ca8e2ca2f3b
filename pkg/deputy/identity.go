package deputy

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An identity translates users and groups for tasks in a user namespace that knows a single one of each, which stand for
// the host's own (user_namespaces(7)). The nil one translates nothing.
type identity struct{ uid, gid translation }

type translation struct {
	host, shown uint32
	overflow    uint32 // what the others are shown as
}

// ShowAs says as whom the tasks see the host's user and group. To be called before anything is performed.
func (d *Deputy) ShowAs(uid, gid uint32) {
	d.identity = &identity{
		uid: translation{uint32(os.Geteuid()), uid, overflow("overflowuid")},
		gid: translation{uint32(os.Getegid()), gid, overflow("overflowgid")},
	}
}

// overflow reads which number stands for what is not mapped, see proc(5).
func overflow(name string) uint32 {
	text, err := os.ReadFile("/proc/sys/kernel/" + name)
	number, failed := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || failed != nil {
		return 65534 // the kernel's default
	}
	return uint32(number)
}

// show translates the owner of a file for the task.
func (i *identity) show(uid, gid *uint32) {
	if i != nil {
		*uid, *gid = i.uid.show(*uid), i.gid.show(*gid)
	}
}

func (t translation) show(number uint32) uint32 {
	if number == t.host {
		return t.shown
	}
	return t.overflow
}

// mean translates a new owner from the task's numbers; those of nobody are EINVAL, as in the kernel.
func (i *identity) mean(uid, gid *uint32) error {
	if i == nil {
		return nil
	}
	for number, t := range map[*uint32]translation{uid: i.uid, gid: i.gid} {
		switch *number {
		case t.shown:
			*number = t.host
		case ^uint32(0): // leaves it
		default:
			return unix.EINVAL
		}
	}
	return nil
}
