package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"sandlock/pkg/network"
	"sandlock/pkg/policy"
)

// What the filter sees are the registers; every address is behind a pointer. Hence:
//
//   - socket: only the kinds that were granted. Never raw, packet, netlink and
//     vsock sockets, nor protocols other than TCP, UDP and ICMP echo: Landlock
//     and the supervisor do not know MPTCP, SCTP and the like. Where no network
//     is granted at all, Unix stream and seqpacket sockets can be made, for
//     programs that expect it; they cannot be connected or bound. Where connect
//     may be the kernel's, they could be, so there they cannot be made. Where some
//     path is granted all kinds can, and every address is judged.
//   - socketpair: Unix stream and seqpacket sockets. A datagram socket of a pair
//     sends to any address, although it is connected (tested on Linux 6.18), so it
//     can be made only where addresses are judged; a stream socket refuses an
//     address in sendmsg, a seqpacket socket ignores it.
//   - connect, bind, listen: as planned. A listen without a bind is one to a port
//     that the kernel picks.
//   - sendto, sendmsg, sendmmsg: TCP fast open connects past Landlock's rules
//     (tested on Linux 6.18). The error is the one of a kernel without it, so
//     that programs connect instead. Where addresses are judged, sendto without
//     one leads to the peer that was judged already.
//   - setsockopt: source routes lead past the address that was judged; a flow
//     label may have one. An upper layer (TCP_ULP) may put a socket in the place
//     of the one that Landlock knows: that of SMC does.
//
// io_uring, pidfd_getfd and namespaces are on the default deny list, and there
// is no socketcall on amd64 and arm64. Devices that are networks (tun, vhost)
// and mounted file systems are Landlock's.
func networkRules(calls network.Calls) map[string]Verdict {
	rules := map[string]Verdict{
		"connect":    accessVerdict(calls, calls.Connect),
		"bind":       accessVerdict(calls, calls.Bind),
		"listen":     accessVerdict(calls, calls.Listen),
		"socket":     {Action: Allow, check: grantedSockets(calls.Protocols)},
		"socketpair": {Action: Allow, check: &foreignSocket},
	}
	if calls.Protocols&policy.Unix != 0 {
		rules["socketpair"] = Verdict{Action: Allow, check: &foreignFamily}
	}
	if calls.Closed() {
		rules["socket"] = Verdict{Action: Allow, check: &foreignSocket}
	}
	switch {
	case calls.Send == network.Supervised:
		rules["sendto"] = Verdict{Action: Notify, check: &noAddress}
		rules["sendmsg"] = Verdict{Action: Notify}
		rules["sendmmsg"] = Verdict{Action: Notify}
	case !calls.Closed():
		rules["sendto"] = Verdict{Action: Allow, check: fastOpen(3)}
		rules["sendmsg"] = Verdict{Action: Allow, check: fastOpen(2)}
		rules["sendmmsg"] = Verdict{Action: Allow, check: fastOpen(3)}
	}
	if !calls.Closed() {
		rules["setsockopt"] = Verdict{Action: Allow, check: &otherWay}
	}
	return rules
}

func accessVerdict(calls network.Calls, access network.Access) Verdict {
	switch {
	case access == network.Kernel:
		return Verdict{Action: Allow}
	case access == network.Supervised:
		return Verdict{Action: Notify}
	case calls.Closed():
		return Verdict{Action: Errno(unix.EACCES), Reason: "no network is granted"}
	}
	return Verdict{Action: Errno(unix.EACCES), Reason: "not granted by the network's rules"}
}

// socketTypeMask separates the type of a socket from SOCK_CLOEXEC and
// SOCK_NONBLOCK: SOCK_TYPE_MASK of the kernel, which exports no name for it.
const socketTypeMask = 0xf

var foreignSocket = check{
	when: "it is not a Unix stream or seqpacket socket",
	then: Errno(unix.EACCES),
	emit: func(a *assembler, yes, no label) label {
		kind := unixKind(a, []uint32{unix.SOCK_SEQPACKET, unix.SOCK_STREAM}, yes, no)
		return a.load(argLow(0), a.branch(bpf.JumpEqual, unix.AF_UNIX, kind, yes))
	},
}

var unixKinds = []uint32{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET}

var foreignFamily = check{
	when: "it is no Unix socket",
	then: Errno(unix.EACCES),
	emit: func(a *assembler, yes, no label) label {
		return a.load(argLow(0), a.branch(bpf.JumpEqual, unix.AF_UNIX, unixKind(a, unixKinds, yes, no), yes))
	},
}

// unixKind singles out other types of sockets than the given ones.
func unixKind(a *assembler, types []uint32, yes, no label) label {
	next := yes
	for _, number := range types {
		next = a.branch(bpf.JumpEqual, number, no, next)
	}
	return a.load(argLow(1), a.mask(socketTypeMask, next))
}

// grantedSockets singles out the sockets that are not granted.
func grantedSockets(protocols policy.Protocols) *check {
	return &check{
		when: "it is not a socket for what the network's rules grant",
		then: Errno(unix.EACCES),
		emit: func(a *assembler, yes, no label) label {
			oneOf := func(numbers []uint32) label {
				next := yes
				for _, number := range numbers {
					next = a.branch(bpf.JumpEqual, number, no, next)
				}
				return a.load(argLow(2), next)
			}
			kinds := func(ping uint32) label {
				var datagrams []uint32
				if protocols&policy.UDP != 0 {
					datagrams = append(datagrams, 0, unix.IPPROTO_UDP)
				}
				if protocols&policy.ICMP != 0 {
					datagrams = append(datagrams, ping)
				}
				next := yes
				if datagrams != nil {
					next = a.branch(bpf.JumpEqual, unix.SOCK_DGRAM, oneOf(datagrams), yes)
				}
				if protocols&policy.TCP != 0 {
					next = a.branch(bpf.JumpEqual, unix.SOCK_STREAM, oneOf([]uint32{0, unix.IPPROTO_TCP}), next)
				}
				return a.load(argLow(1), a.mask(socketTypeMask, next))
			}
			six := a.branch(bpf.JumpEqual, unix.AF_INET6, kinds(unix.IPPROTO_ICMPV6), yes)
			next := a.branch(bpf.JumpEqual, unix.AF_INET, kinds(unix.IPPROTO_ICMP), six)
			if protocols&policy.Unix != 0 {
				next = a.branch(bpf.JumpEqual, unix.AF_UNIX, unixKind(a, unixKinds, yes, no), next)
			}
			return a.load(argLow(0), next)
		},
	}
}

// fastOpen is about calls whose flags are in the given argument.
func fastOpen(flags uint32) *check {
	return &check{
		when: "MSG_FASTOPEN is set",
		then: Errno(unix.EOPNOTSUPP),
		emit: func(a *assembler, yes, no label) label {
			return a.load(argLow(flags), a.branch(bpf.JumpBitsSet, unix.MSG_FASTOPEN, yes, no))
		},
	}
}

var noAddress = check{
	when: "it has no address",
	then: Allow,
	emit: func(a *assembler, yes, no label) label {
		high := a.branch(bpf.JumpEqual, 0, yes, no)
		loadHigh := a.load(argHigh(4), high)
		low := a.branch(bpf.JumpEqual, 0, loadHigh, no)
		return a.load(argLow(4), low)
	},
}

// ipv6FlowLabels is IPV6_FLOWLABEL_MGR of linux/in6.h, which x/sys/unix lacks.
const ipv6FlowLabels = 32

var otherWay = check{
	when: "it sets a route or an upper layer",
	then: Errno(unix.EPERM),
	emit: func(a *assembler, yes, no label) label {
		next := no
		for _, option := range []uint32{unix.IPV6_RTHDR, unix.IPV6_2292RTHDR, unix.IPV6_2292PKTOPTIONS, ipv6FlowLabels} {
			next = a.branch(bpf.JumpEqual, option, yes, next)
		}
		six := a.load(argLow(2), next)
		four := a.load(argLow(2), a.branch(bpf.JumpEqual, unix.IP_OPTIONS, yes, no))
		layer := a.load(argLow(2), a.branch(bpf.JumpEqual, unix.TCP_ULP, yes, no))
		isTCP := a.branch(bpf.JumpEqual, unix.IPPROTO_TCP, layer, no)
		isSix := a.branch(bpf.JumpEqual, unix.IPPROTO_IPV6, six, isTCP)
		return a.load(argLow(1), a.branch(bpf.JumpEqual, unix.IPPROTO_IP, four, isSix))
	},
}
