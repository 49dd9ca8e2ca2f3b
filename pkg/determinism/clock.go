package determinism

import (
	"encoding/binary"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
	"sandlock/pkg/supervise"
)

// A clock tells a time of day that begins anew with each run, and runs on from there.
type clock struct {
	start time.Time

	once  sync.Once
	began time.Time // when the first program of the run began
	tai   time.Duration
}

// now is the run's time of day.
func (c *clock) now() time.Time {
	c.once.Do(func() {
		c.began = time.Now()
		c.tai = taiOffset()
	})
	return c.start.Add(time.Since(c.began))
}

// taiOffset is by how much International Atomic Time is ahead of UTC, as far as the host knows: see clock_gettime(2).
func taiOffset() time.Duration {
	var utc, tai unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME, &utc) != nil || unix.ClockGettime(unix.CLOCK_TAI, &tai) != nil {
		return 0
	}
	return time.Duration(tai.Nano() - utc.Nano()).Round(time.Second)
}

func (c *clock) handlers() map[string]supervise.Handler {
	return map[string]supervise.Handler{
		"clock_gettime": supervise.HandlerFunc(c.clockGettime),
		"gettimeofday":  supervise.HandlerFunc(c.gettimeofday),
		"time":          supervise.HandlerFunc(c.time),
	}
}

// code is what takes the place of the functions of the vDSO, which read the kernel's clock without a system call.
func (c *clock) code() map[string][]byte {
	code := map[string][]byte{
		"clock_gettime": systemCall(unix.SYS_CLOCK_GETTIME),
		"gettimeofday":  systemCall(unix.SYS_GETTIMEOFDAY),
	}
	if timeCall >= 0 {
		code["time"] = systemCall(timeCall)
	}
	return code
}

func (c *clock) clockGettime(n *notify.Notification) supervise.Action {
	args := n.Args()
	now := c.now()
	switch int32(args[0]) {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_REALTIME_ALARM:
	case unix.CLOCK_TAI:
		now = now.Add(c.tai)
	default: // somebody else asked for these calls as well
		return supervise.Continue()
	}
	return write(n, args[1], 0, uint64(now.Unix()), uint64(now.Nanosecond()))
}

func (c *clock) gettimeofday(n *notify.Notification) supervise.Action {
	args, now := n.Args(), c.now()
	if args[0] != 0 {
		if answer := write(n, args[0], 0, uint64(now.Unix()), uint64(now.Nanosecond()/1000)); answer != supervise.Return(0) {
			return answer
		}
	}
	if args[1] != 0 {
		return write(n, args[1], 0, 0) // the time zone, which is UTC
	}
	return supervise.Return(0)
}

func (c *clock) time(n *notify.Notification) supervise.Action {
	now := c.now().Unix()
	if address := n.Args()[0]; address != 0 {
		return write(n, address, now, uint64(now))
	}
	return supervise.Return(now)
}

// write puts words into the task's memory and returns a value, or EFAULT.
func write(n *notify.Notification, address uint64, value int64, words ...uint64) supervise.Action {
	var data []byte
	for _, word := range words {
		data = binary.NativeEndian.AppendUint64(data, word)
	}
	if err := n.Write(data, address); err != nil {
		return supervise.Fail(unix.EFAULT)
	}
	return supervise.Return(value)
}
