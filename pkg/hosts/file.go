package hosts

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Text is the content of hosts(5): this machine, and the names.
func (a Addresses) Text() string {
	var text strings.Builder
	line := func(address netip.Addr, names string) { fmt.Fprintf(&text, "%s\t%s\n", address, names) }
	if _, named := a["localhost"]; !named {
		line(netip.AddrFrom4([4]byte{127, 0, 0, 1}), "localhost")
		line(netip.IPv6Loopback(), "localhost ip6-localhost ip6-loopback")
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		for _, address := range a[name] {
			line(address, name)
		}
	}
	return text.String()
}

// A File is a text that others may open to read, and nobody may change.
type File string

// open makes a file without a name that has the text.
func (f File) open() (int, error) {
	fd, err := unix.MemfdCreate("hosts", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate("hosts", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(f)); err != nil {
		return -1, err
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return -1, err
	}
	if err := unix.Fchmod(fd, 0o444); err != nil {
		return -1, err
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}
