package netcall

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// credentials are what the peer of a Unix socket may learn of a sender: see SO_PASSCRED in unix(7).
type credentials struct{ process, uid, gid int }

// identify has the messages of a Unix socket tell of the task, in whose place the kernel would put us. To name another
// process is a privilege; without it the process is ours.
func (c *call) identify(m *message, control []byte, send func(control []byte) error) error {
	if c.socket.domain != unix.AF_UNIX || m.sent > 0 {
		return send(control)
	}
	s, err := c.n.Status()
	if err != nil {
		return unix.ESRCH // dying
	}
	who := credentials{s.Process, s.UID, s.GID}
	err = send(append(slices.Clip(control), who.control()...))
	if errors.Is(err, unix.EPERM) {
		who.process = os.Getpid()
		err = send(append(slices.Clip(control), who.control()...))
	}
	return err
}

// control is the control message SCM_CREDENTIALS.
func (w credentials) control() []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(unix.CmsgLen(unix.SizeofUcred)))
	for _, word := range []int{unix.SOL_SOCKET, unix.SCM_CREDENTIALS, w.process, w.uid, w.gid} {
		b = binary.NativeEndian.AppendUint32(b, uint32(word))
	}
	return append(b, make([]byte, unix.CmsgSpace(unix.SizeofUcred)-len(b))...)
}
