package deputy_test

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The tests run the test binary again as a sandboxed child that makes the system calls of a list. Calls that a test
// wants to be performed reach workers of the supervisor, as they do under Python.

// limit bounds each child: when it is over the child is killed, which ends whatever waits for it.
const limit = time.Minute

// childEnv makes the test binary a child.
const childEnv = "DEPUTY_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		act()
		return
	}
	os.Exit(m.Run())
}

// A step is a system call of the child. The arguments are numbers, paths, a buffer or what a step gave before.
type step struct {
	Call int
	Args []any
}

// do makes a step.
func do(call int, args ...any) step { return step{call, args} }

// buffer is memory of so many bytes, which the child prints after the call.
type buffer struct{ Size int }

// back is the result of the step so many steps before.
type back struct{ Steps int }

// An outcome is what a step gave.
type outcome struct {
	Result int64
	Error  string
	Data   string // of the buffer, without zeros at the end
}

// mark is the sixth argument of every step's call, which none of them has: it tells them from those of the Go runtime.
const mark = 0x5ca1ab1e

// act makes the calls of the list in the argument, or else those of the lists that it reads from stdin, one a line.
func act() {
	runtime.LockOSThread()
	if len(os.Args) > 1 {
		makeSteps([]byte(os.Args[1]))
	} else {
		for lists := json.NewDecoder(os.Stdin); ; {
			var list json.RawMessage
			if lists.Decode(&list) != nil {
				break
			}
			makeSteps(list)
		}
	}
	// The race detector would sleep for a second: it looks for its options in /proc, which is not granted.
	unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
}

// makeSteps makes the calls of a list and prints the outcomes, one a line.
func makeSteps(list []byte) {
	var steps []struct {
		Call int
		Args []json.RawMessage
	}
	if err := json.Unmarshal(list, &steps); err != nil {
		panic(err)
	}
	var done []outcome
	for _, s := range steps {
		raw := [6]uintptr{5: mark}
		var keep [][]byte
		var filled []byte
		for i, text := range s.Args {
			var (
				path   string
				memory struct{ Size, Steps int }
				number int64
			)
			switch {
			case json.Unmarshal(text, &number) == nil:
				raw[i] = uintptr(number)
			case json.Unmarshal(text, &path) == nil:
				keep = append(keep, append([]byte(path), 0))
				raw[i] = uintptr(unsafe.Pointer(&keep[len(keep)-1][0]))
			case json.Unmarshal(text, &memory) == nil && memory.Steps > 0:
				raw[i] = uintptr(done[len(done)-memory.Steps].Result)
			default:
				filled = make([]byte, memory.Size)
				raw[i] = uintptr(unsafe.Pointer(&filled[0]))
			}
		}
		result, _, errno := unix.RawSyscall6(uintptr(s.Call), raw[0], raw[1], raw[2], raw[3], raw[4], raw[5])
		runtime.KeepAlive(keep)
		o := outcome{Result: int64(result), Data: strings.TrimRight(string(filled), "\x00")}
		if errno != 0 {
			o.Error, o.Result = unix.ErrnoName(errno), -1
		}
		done = append(done, o)
		text, err := json.Marshal(o)
		if err != nil {
			panic(err)
		}
		os.Stdout.Write(append(text, '\n'))
	}
}
