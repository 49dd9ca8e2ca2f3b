package supervise

import (
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a leader may be away with a decision, and up to twice that, before somebody else takes the
// listener over. Handing the listener over at once makes two threads alternate, which costs four times as much as one
// thread that keeps it.
const patience = 200 * time.Microsecond

// A leader that leaves more often than busyTrips between two ticks is watched with less zeal, since ticks cost more than
// they are worth then.
const (
	busyTrips    = 8
	busyPatience = 4 * patience
)

// A watchdog looks at the leaderships of a process in which somebody decides.
type watchdog struct {
	mu      sync.Mutex
	watched map[*leadership]struct{}
	clock   *clock
}

// theWatchdog is there from the first supervisor on, asleep while there is nothing to watch.
var theWatchdog = sync.OnceValue(func() *watchdog {
	d := &watchdog{watched: make(map[*leadership]struct{}), clock: newClock()}
	go d.patrol()
	return d
})

// watch looks at a leadership until that has had enough.
func (d *watchdog) watch(l *leadership) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.watched) == 0 {
		d.clock.set(patience)
	}
	d.watched[l] = struct{}{}
}

func (d *watchdog) patrol() {
	for {
		d.clock.wait()
		d.lookAround()
	}
}

func (d *watchdog) lookAround() {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := busyPatience
	for l := range d.watched {
		trips, further := l.tick()
		if !further {
			delete(d.watched, l)
		} else if trips <= busyTrips {
			next = patience
		}
	}
	if len(d.watched) == 0 {
		next = never
	}
	d.clock.set(next)
}

// A clock ticks by a timerfd: Go's own timers keep to whole milliseconds while nothing else runs, as epoll_wait(2)
// does, and a sleep in a system call keeps the runtime's monitor awake.
type clock struct {
	fd    int
	file  *os.File // of fd; nil when none was free: then the clock never stops, and is late
	every time.Duration
}

// never stops a clock.
const never time.Duration = 0

func newClock() *clock {
	low, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &clock{}
	}
	defer unix.Close(low)
	fd, err := unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, 3) // a closed stdin is to stay closed
	if err != nil {
		return &clock{}
	}
	return &clock{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}
}

// set says how often the clock ticks from now on.
func (c *clock) set(every time.Duration) {
	if c.file != nil && c.every != every {
		c.every = every
		time := unix.NsecToTimespec(int64(every))
		// It fails for times that are none, and for descriptors of other kinds only; see timerfd_settime(2).
		_ = unix.TimerfdSettime(c.fd, 0, &unix.ItimerSpec{Interval: time, Value: time}, nil)
	}
}

func (c *clock) wait() {
	if c.file != nil {
		var count [8]byte
		if _, err := c.file.Read(count[:]); err == nil {
			return
		}
	}
	time.Sleep(time.Millisecond)
}
