package determinism

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// random answers with numbers that depend on the seed.
type random struct {
	seed    uint64
	streams *streams
	opener  func() *deputy.Deputy
	devices devices
}

func newRandom(seed uint64, opener func() *deputy.Deputy) *random {
	return &random{seed: seed, streams: newStreams(seed), opener: opener, devices: devices{stop: -1}}
}

// maxRandom is what the kernel gives at most in one call (getrandom(2)).
const maxRandom = 1<<25 - 1

const knownRandomFlags = unix.GRND_NONBLOCK | unix.GRND_RANDOM | unix.GRND_INSECURE

func (r *random) getrandom(n *notify.Notification) supervise.Action {
	args := n.Args()
	address, length, flags := args[0], min(args[1], maxRandom), uint32(args[2])
	if flags&^knownRandomFlags != 0 || flags&(unix.GRND_RANDOM|unix.GRND_INSECURE) == unix.GRND_RANDOM|unix.GRND_INSECURE {
		return supervise.Fail(unix.EINVAL)
	}
	buffer := make([]byte, min(length, 1<<16))
	for done := uint64(0); done < length; {
		part := buffer[:min(length-done, uint64(len(buffer)))]
		if err := r.streams.fill(n, part); err != nil {
			return supervise.Fail(unix.EIO)
		}
		if err := n.Write(part, address+done); err != nil {
			if done == 0 {
				return supervise.Fail(unix.EFAULT)
			}
			return supervise.Return(int64(done))
		}
		done += uint64(len(part))
	}
	return supervise.Return(int64(length))
}

// seedVector replaces the 16 random bytes that a new image has got, of which libc makes its canaries. The last 8 tell
// that it was done: they are a hash of the first.
func (r *random) seedVector(n *notify.Notification, vector map[uint64]uint64) error {
	address := vector[auxRandom]
	var bytes [16]byte
	if count, err := n.Read(bytes[:], address); err != nil || count != len(bytes) {
		return errors.Join(err, errShort(count, len(bytes)))
	}
	if string(bytes[8:]) == string(r.mark(bytes)) {
		return nil
	}
	if err := errors.Join(r.streams.execute(n), r.streams.fill(n, bytes[:8])); err != nil {
		return err
	}
	copy(bytes[8:], r.mark(bytes))
	return n.Write(bytes[:], address)
}

// mark tells replaced bytes from those of the kernel.
func (r *random) mark(bytes [16]byte) []byte {
	data := binary.LittleEndian.AppendUint64([]byte("AT_RANDOM"), r.seed)
	sum := sha256.Sum256(append(data, bytes[:8]...))
	return sum[:8]
}

func errShort(got, wanted int) error {
	if got == wanted {
		return nil
	}
	return unix.EFAULT
}
