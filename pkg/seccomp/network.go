package seccomp

import (
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// No network is granted: the rules of this file leave a process only sockets
// that cannot reach a peer outside of the sandbox. What the filter sees are the
// registers; every address is behind a pointer. Hence:
//
//   - socket: AF_UNIX stream and seqpacket sockets only. That excludes IP, raw,
//     packet, netlink and vsock sockets, TCP fast open, and Unix datagram
//     sockets, whose sendto and sendmsg carry an address that no filter sees
//     (/dev/log, for one). A stream socket refuses an address in sendmsg, a
//     seqpacket socket ignores it.
//   - socketpair: the same types. A datagram socket of a pair sends to any
//     address too, although it is connected (tested on Linux 6.18).
//   - connect: denied. A path or an abstract name (docker.sock, an agent, D-Bus,
//     X11) cannot be told from one of the sandbox's own.
//   - bind: denied. As nobody inside can connect, a name would serve peers
//     outside only, and could be one that they trust. Without a name listen
//     fails, hence accept needs no rule.
//
// io_uring, pidfd_getfd and namespaces are on the default deny list, and there
// is no socketcall on amd64 and arm64. Inherited sockets are the launcher's
// matter. Devices that are networks (tun, vhost) and mounted file systems are
// Landlock's.
var networkRules = map[string]Verdict{
	"bind":       {Action: Errno(unix.EACCES), Reason: noNetwork},
	"connect":    {Action: Errno(unix.EACCES), Reason: noNetwork},
	"socket":     {Action: Allow, check: &foreignSocket},
	"socketpair": {Action: Allow, check: &foreignSocket},
}

const noNetwork = "no network is granted"

// socketTypeMask separates the type of a socket from SOCK_CLOEXEC and
// SOCK_NONBLOCK: SOCK_TYPE_MASK of the kernel, which exports no name for it.
const socketTypeMask = 0xf

var foreignSocket = check{
	when: "it is not a Unix stream or seqpacket socket",
	then: Errno(unix.EACCES),
	emit: func(a *assembler, yes, no label) label {
		seqpacket := a.branch(bpf.JumpEqual, unix.SOCK_SEQPACKET, no, yes)
		stream := a.branch(bpf.JumpEqual, unix.SOCK_STREAM, no, seqpacket)
		masked := a.mask(socketTypeMask, stream)
		loadType := a.load(argLow(1), masked)
		family := a.branch(bpf.JumpEqual, unix.AF_UNIX, loadType, yes)
		return a.load(argLow(0), family)
	},
}
