package netcall

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The sizes of socket addresses: the least that the kernel takes, see SIN6_LEN_RFC2133 for IPv6, and the most.
const (
	familySize  = 2
	inetSize    = unix.SizeofSockaddrInet4
	inet6Least  = 24
	inet6Size   = unix.SizeofSockaddrInet6
	largestSize = 128 // struct sockaddr_storage
)

// Where ports and addresses are in both kinds.
const (
	portAt  = 2
	inetAt  = 4
	inet6At = 8
)

// An address is a socket address that was copied from a task's memory. It is the one that the kernel uses: the
// unspecified addresses, which mean this machine, are replaced by those of loopback.
type address struct {
	family uint16
	raw    []byte         // for the kernel
	peer   netip.AddrPort // of IPv4 and IPv6; an IPv4 address never in its IPv6 form
}

// readRaw copies an address.
func (c *call) readRaw(pointer uint64, size int) ([]byte, error) {
	if size < familySize || size > largestSize {
		return nil, unix.EINVAL
	}
	raw := make([]byte, size)
	if err := c.read(raw, pointer); err != nil {
		return nil, err
	}
	return raw, c.mayUse(raw)
}

// mayUse refuses an address that is not the one that was judged.
func (c *call) mayUse(raw []byte) error {
	if c.narrowing.Expects(c.n.Task(), c.n.ID(), string(raw)) {
		return nil
	}
	return errDenied
}

// parseAddress takes over the bytes.
func parseAddress(raw []byte) (address, error) {
	if len(raw) < familySize {
		return address{}, unix.EINVAL
	}
	a := address{family: binary.NativeEndian.Uint16(raw), raw: raw}
	switch a.family {
	case unix.AF_UNSPEC, unix.AF_UNIX:
		return a, nil
	case unix.AF_INET:
		return a, a.parseInet()
	case unix.AF_INET6:
		return a, a.parseInet6()
	}
	return address{}, unix.EAFNOSUPPORT
}

func (a *address) parseInet() error {
	if len(a.raw) < inetSize {
		return unix.EINVAL
	}
	ip := netip.AddrFrom4([4]byte(a.raw[inetAt:]))
	if ip.IsUnspecified() {
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		copy(a.raw[inetAt:], ip.AsSlice())
	}
	a.raw = a.raw[:inetSize]
	a.peer = netip.AddrPortFrom(ip, a.port())
	return nil
}

func (a *address) parseInet6() error {
	if len(a.raw) < inet6Least {
		return unix.EINVAL
	}
	ip := netip.AddrFrom16([16]byte(a.raw[inet6At:]))
	switch {
	case ip.IsUnspecified():
		ip = netip.IPv6Loopback()
		copy(a.raw[inet6At:], ip.AsSlice())
	case ip.Is4In6() && ip.Unmap().IsUnspecified():
		ip = netip.MustParseAddr("::ffff:127.0.0.1")
		copy(a.raw[inet6At:], ip.AsSlice())
	}
	a.raw = a.raw[:min(len(a.raw), inet6Size)]
	a.peer = netip.AddrPortFrom(ip.Unmap(), a.port())
	return nil
}

func (a *address) port() uint16 { return binary.BigEndian.Uint16(a.raw[portAt:]) }
