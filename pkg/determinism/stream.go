package determinism

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"

	"sandlock/pkg/notify"
	"sandlock/pkg/proc"
)

// Streams give each image that is executed, each process that is forked and each thread random numbers of its own: those
// of a stream that all shared would depend on who asks first. A stream's name, and with it its numbers, comes from the
// seed, the stream of the process that it descends from, and what makes it one: for an image that is its command line.
// Where two of the same kind descend from one, they count in the order in which they first ask.
type streams struct {
	mu      sync.Mutex
	root    *stream
	byTask  map[int]*stream
	sweepAt int // how many streams there may be before those of dead tasks are dropped
}

// leastSweep is when the streams are swept first.
const leastSweep = 1024

func newStreams(seed uint64) *streams {
	var name [8]byte
	binary.LittleEndian.PutUint64(name[:], seed)
	return &streams{root: newStream(name[:]), byTask: make(map[int]*stream), sweepAt: leastSweep}
}

type stream struct {
	name    [sha256.Size]byte
	numbers *rand.ChaCha8
	below   map[[sha256.Size]byte]uint64 // how many of each kind descend from it
}

func newStream(name []byte) *stream {
	sum := sha256.Sum256(name)
	return &stream{name: sum, numbers: rand.NewChaCha8(sum), below: make(map[[sha256.Size]byte]uint64)}
}

// maxKinds bounds what a stream remembers of those that descend from it.
const maxKinds = 1 << 16

// descend makes the next stream of a kind.
func (s *stream) descend(kind string) *stream {
	if len(s.below) >= maxKinds { // counting anew under another name gives other streams
		s.name = sha256.Sum256(s.name[:])
		clear(s.below)
	}
	sum := sha256.Sum256([]byte(kind))
	number := s.below[sum]
	s.below[sum]++
	return newStream(binary.LittleEndian.AppendUint64(append(s.name[:], sum[:]...), number))
}

// fill draws from a thread's stream.
func (s *streams) fill(n *notify.Notification, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, ok := s.byTask[n.Task()]
	if !ok {
		process, _, err := proc.Lineage(n.Task())
		if err != nil {
			return err
		}
		if parent, ok := s.byTask[process]; ok {
			own = parent.descend("thread")
		} else {
			own = s.nearest(process).descend("fork")
		}
		s.add(n.Task(), own)
	}
	own.numbers.Read(data) // never fails: see its documentation
	return nil
}

// execute begins the stream of a new image.
func (s *streams) execute(n *notify.Notification) error {
	command, err := os.ReadFile(procFile(n.Task(), "cmdline"))
	if err != nil {
		return fmt.Errorf("read the command line of process %d: %w", n.Task(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(n.Task(), s.nearest(n.Task()).descend(string(command)))
	return nil
}

// nearest is the stream of a process, or of the nearest of its ancestors that has one.
func (s *streams) nearest(process int) *stream {
	for process > 1 {
		if known, ok := s.byTask[process]; ok {
			return known
		}
		_, parent, err := proc.Lineage(process)
		if err != nil {
			break
		}
		process = parent
	}
	return s.root
}

func (s *streams) add(task int, own *stream) {
	if len(s.byTask) >= s.sweepAt {
		for task := range s.byTask {
			if _, err := os.Lstat(procFile(task, "")); errors.Is(err, os.ErrNotExist) {
				delete(s.byTask, task)
			}
		}
		s.sweepAt = max(leastSweep, 2*len(s.byTask)) // so that a sweep costs each stream a constant
	}
	s.byTask[task] = own
}

func procFile(task int, name string) string { return "/proc/" + strconv.Itoa(task) + "/" + name }
