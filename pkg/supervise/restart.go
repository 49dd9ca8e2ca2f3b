package supervise

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// RestartCalls handles rt_sigaction(2): it sets SA_RESTART for a handler of SIGCHLD. A call that waits to be received is
// interrupted by signals, which the kernel would not do to close(2) or clone(2): a shell whose children end meanwhile
// does not expect EINTR there, and never makes the call again. With the flag the kernel does.
var RestartCalls HandlerFunc = func(n *notify.Notification) Action {
	const disposition, flags, size = 0, 8, 16 // in struct sigaction of the kernel, on amd64 and arm64
	args := n.Args()
	var action [size]byte
	if unix.Signal(int32(args[0])) != unix.SIGCHLD || args[1] == 0 {
		return Continue()
	}
	if count, err := n.Read(action[:], args[1]); err != nil || count < size {
		return Continue() // the kernel will say what is wrong with the address
	}
	handler := binary.NativeEndian.Uint64(action[disposition:])
	wanted := binary.NativeEndian.Uint64(action[flags:])
	if handler > sigIgnore && wanted&saRestart == 0 {
		binary.NativeEndian.PutUint64(action[flags:], wanted|saRestart)
		// Memory that cannot be written is the task's own doing: it gets what it asked for.
		_ = n.Write(action[flags:], args[1]+flags)
	}
	return Continue()
}

// From asm/signal.h and asm-generic/signal-defs.h, which golang.org/x/sys/unix leaves out.
const (
	saRestart = 0x10000000
	sigIgnore = 1 // SIG_IGN; SIG_DFL is 0, and what is above is a function
)
