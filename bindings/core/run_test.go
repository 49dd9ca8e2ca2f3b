package core

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

// captured is a request for a command with its output captured, which is killed after a minute.
func captured(args ...string) map[string]any {
	var readable []string
	for _, path := range []string{"/usr", "/lib", "/lib64", "/bin", "/etc"} {
		if _, err := os.Stat(path); err == nil {
			readable = append(readable, path)
		}
	}
	return map[string]any{
		"policy": map[string]any{"fs_readable": readable, "allow_degraded": policy.Protections()},
		"args":   args,
		"stdin":  stdioNull, "stdout": stdioPipe, "stderr": stdioPipe,
		"timeout": 60,
	}
}

// handled is a request with chains that Python answers, by as many workers.
func handled(workers int, syscalls []string, args ...string) map[string]any {
	var chains []map[string]any
	for _, syscall := range syscalls {
		chains = append(chains, map[string]any{"syscall": syscall, "fallback": []int{answerKillGroup, int(unix.SIGKILL), 0}})
	}
	fields := captured(args...)
	fields["workers"], fields["chains"] = workers, chains
	return fields
}

// begin starts a run that is closed with the test.
func begin(t *testing.T, fields map[string]any) (handle int64) {
	t.Helper()
	handle, err := startNew(asJSON(t, fields))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(handle) })
	return handle
}

// ending is how a run ended.
type ending struct {
	Outcome        outcome
	Stdout, Stderr string
}

// end serves a run to its end.
func end(t *testing.T, handle int64) (e ending) {
	t.Helper()
	for ended := false; !ended; {
		var err error
		if ended, err = Serve(handle, 0); err != nil {
			t.Fatal(err)
		}
	}
	text, err := Outcome(handle)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &e.Outcome); err != nil {
		t.Fatal(err)
	}
	for stream, target := range map[int]*string{1: &e.Stdout, 2: &e.Stderr} {
		data, err := Output(handle, stream)
		if err != nil {
			t.Fatal(err)
		}
		*target = string(data)
	}
	if e.Outcome.Stdout != len(e.Stdout) || e.Outcome.Stderr != len(e.Stderr) {
		t.Errorf("%+v tells other lengths than those of %q and %q", e.Outcome, e.Stdout, e.Stderr)
	}
	e.Outcome.Stdout, e.Outcome.Stderr = 0, 0
	return e
}

func expectEnding(t *testing.T, want, got ending) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func TestRun(t *testing.T) {
	before := descriptors(t)
	fields := captured("sh", "-c", `cat; printf '\377' >&2; exit 3`)
	fields["stdin"], fields["input"] = stdioPipe, []byte("in \xff")
	handle := begin(t, fields)
	if pid := must(PID(handle))(t); pid <= 0 {
		t.Errorf("the command's number is %d", pid)
	}
	if fd := must(Frame(handle))(t); fd != -1 {
		t.Errorf("a run without workers has a frame: %d", fd)
	}
	want := ending{outcome{ExitCode: 3}, "in \xff", "\xff"}
	expectEnding(t, want, end(t, handle))
	expectEnding(t, want, end(t, handle)) // it can be asked again
	if !must(Close(handle))(t) {
		t.Error("not closed")
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestRunThatIsKilled(t *testing.T) {
	handle := begin(t, captured("sleep", "1000"))
	if !must(Kill(handle))(t) {
		t.Error("Kill says that nothing runs")
	}
	expectEnding(t, ending{Outcome: outcome{ExitCode: -1, Signal: 9, Reason: int(sandbox.Killed)}}, end(t, handle))
}

func TestRunThatTakesTooLong(t *testing.T) {
	fields := captured("sleep", "1000")
	fields["timeout"] = 0.05
	expectEnding(t, ending{Outcome: outcome{ExitCode: -1, Signal: 9, Reason: int(sandbox.TimedOut)}}, end(t, begin(t, fields)))
}

func TestRunWithAVeryLongTimeout(t *testing.T) {
	fields := captured("echo", "in time")
	fields["timeout"] = 1e11
	expectEnding(t, ending{Stdout: "in time\n"}, end(t, begin(t, fields)))
}

func TestRunThatCannotBeExecuted(t *testing.T) {
	for name, program := range map[string]string{"known at the start": "no-such-program", "known by the kernel": "/none/\xff"} {
		t.Run(name, func(t *testing.T) {
			handle := begin(t, handled(1, []string{"getppid"}, characters(program)))
			got := end(t, handle)
			if got.Outcome.Error == "" || got.Stderr == "" {
				t.Errorf("no reason is told: %+v", got)
			}
			got.Outcome.Error, got.Stderr = "", ""
			expectEnding(t, ending{Outcome: outcome{ExitCode: 127}}, got)
		})
	}
}

func TestCloseKills(t *testing.T) {
	before := descriptors(t)
	handle := begin(t, handled(2, []string{"getppid"}, "sleep", "1000"))
	pid := must(PID(handle))(t)
	must(Close(handle))(t)
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("process %d lives on: %v", pid, err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestWakeInterruptsServe(t *testing.T) {
	handle := begin(t, captured("sleep", "1000"))
	must(Wake(handle))(t)
	if must(Serve(handle, 0))(t) {
		t.Error("Serve says that the run is over")
	}
}

// A python is a worker as Python is one: it knows the handle, its number and the memory of the frame.
type python struct {
	handle int64
	index  int
	slot   []byte
}

// pythons gives a run's workers their places in the frame.
func pythons(t *testing.T, handle int64, count int) []python {
	t.Helper()
	fd := must(Frame(handle))(t)
	memory, err := unix.Mmap(fd, 0, count*slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	var workers []python
	for i := range count {
		workers = append(workers, python{handle, i, memory[i*slotSize : (i+1)*slotSize]})
	}
	return workers
}

func (p python) id() uint64        { return native.Uint64(p.slot[offsetID:]) }
func (p python) syscall() int      { return int(native.Uint32(p.slot[offsetSyscall:])) }
func (p python) arg(i int) uint64  { return native.Uint64(p.slot[offsetArgs+8*i:]) }
func (p python) data(n int) string { return string(p.slot[offsetData : offsetData+n]) }

func (p python) answer(kind, operand uint32, value int64) {
	native.PutUint32(p.slot[offsetAnswer:], kind)
	native.PutUint32(p.slot[offsetAnswer+4:], operand)
	native.PutUint64(p.slot[offsetAnswer+8:], uint64(value))
}

// work decides about everything that comes, until the end.
func (p python) work(t *testing.T, decide func()) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for {
			more, err := Next(p.handle, p.index)
			if err != nil {
				t.Error(err)
			}
			if !more {
				return
			}
			decide()
		}
	}()
	return done
}

func TestAnswersOfAWorker(t *testing.T) {
	killed := func(reason sandbox.Reason, signal int) ending {
		return ending{Outcome: outcome{ExitCode: -1, Signal: signal, Reason: int(reason)}}
	}
	for name, test := range map[string]struct {
		kind, operand uint32
		value         int64
		want          ending
	}{
		"a value":                {answerReturn, 0, 1 << 20, ending{Stdout: "1048576\n"}},
		"kill":                   {answerKillGroup, uint32(unix.SIGKILL), 0, killed(sandbox.Killed, 9)},
		"terminate the process":  {answerKillProcess, uint32(unix.SIGTERM), 0, killed(sandbox.Signaled, 15)},
		"an answer that is none": {1000, 0, 0, killed(sandbox.Killed, 9)},
	} {
		t.Run(name, func(t *testing.T) {
			handle := begin(t, handled(1, []string{"getppid"}, "sh", "-c", "echo $PPID"))
			worker := pythons(t, handle, 1)[0]
			done := worker.work(t, func() {
				if worker.syscall() != unix.SYS_GETPPID {
					t.Errorf("system call %d", worker.syscall())
				}
				worker.answer(test.kind, test.operand, test.value)
			})
			expectEnding(t, test.want, end(t, handle))
			<-done
		})
	}
}

// An answer that is not written is Continue, also after another one in the same slot.
func TestAnswerIsNotKept(t *testing.T) {
	handle := begin(t, handled(1, []string{"getppid"}, "sh", "-c", "echo $PPID; sh -c 'echo $PPID'"))
	worker := pythons(t, handle, 1)[0]
	first := true
	done := worker.work(t, func() {
		if first {
			worker.answer(answerReturn, 0, 77)
		}
		first = false
	})
	expectEnding(t, ending{Stdout: fmt.Sprintf("77\n%d\n", must(PID(handle))(t))}, end(t, handle))
	<-done
}

func TestMemoryOfANotification(t *testing.T) {
	handle := begin(t, handled(1, []string{"execve"}, "/bin/true"))
	worker := pythons(t, handle, 1)[0]
	var kept, address uint64
	done := worker.work(t, func() {
		kept, address = worker.id(), worker.arg(0)
		const path = "/bin/true"
		length := must(ReadString(handle, 0, kept, address, 4095))(t)
		if length != len(path) || worker.data(length) != path {
			t.Errorf("ReadString gave %d bytes", length)
		}
		if count := must(ReadMemory(handle, 0, kept, address, 5))(t); count != 5 || worker.data(5) != path[:5] {
			t.Errorf("ReadMemory gave %d bytes: %q", count, worker.data(5))
		}
		copy(worker.slot[offsetData:], "/bin/echo\x00")
		if !must(WriteMemory(handle, 0, kept, address, len("/bin/echo\x00")))(t) {
			t.Error("WriteMemory failed")
		}
		for what, count := range map[string]int{
			"another notification": must(ReadMemory(handle, 0, kept+1, address, 5))(t),
			"no notification":      must(ReadMemory(handle, 0, 0, address, 5))(t),
			"address 0":            must(ReadMemory(handle, 0, kept, 0, 5))(t),
			"a negative length":    must(ReadMemory(handle, 0, kept, address, -1))(t),
			"more than the slot":   must(ReadMemory(handle, 0, kept, address, dataSize+1))(t),
			"a string too long":    must(ReadString(handle, 0, kept, address, 3))(t),
			"a negative limit":     must(ReadString(handle, 0, kept, address, -1))(t),
		} {
			if count != -1 {
				t.Errorf("%s: %d bytes, want -1", what, count)
			}
		}
	})
	expectEnding(t, ending{Stdout: "\n"}, end(t, handle)) // true has become echo
	<-done
	if count := must(ReadMemory(handle, 0, kept, address, 5))(t); count != -1 {
		t.Errorf("memory is read after the end: %d bytes", count)
	}
	if must(WriteMemory(handle, 0, kept, address, 5))(t) {
		t.Error("memory is written after the end")
	}
}

// The worker that gets the uname of one process stays away until a second shell has asked for its parent, which only the
// other worker can answer then.
func TestWorkersStandInForEachOther(t *testing.T) {
	fields := handled(2, []string{"getppid", "uname"}, "sh", "-c", "uname -s & sh -c 'exit 5'; status=$?; wait; exit $status")
	policy := fields["policy"].(map[string]any)
	policy["fs_readable"] = append(policy["fs_readable"].([]string), "/dev/null") // a shell gives it to what it starts with &
	handle := begin(t, fields)
	var asked atomic.Int32
	second := make(chan struct{})
	var done []chan struct{}
	for _, worker := range pythons(t, handle, 2) {
		done = append(done, worker.work(t, func() {
			switch {
			case worker.syscall() == unix.SYS_UNAME:
				select {
				case <-second:
				case <-time.After(30 * time.Second):
					t.Error("nobody stood in")
				}
			case asked.Add(1) == 2:
				close(second)
			}
		}))
	}
	expectEnding(t, ending{outcome{ExitCode: 5}, "Linux\n", ""}, end(t, handle))
	for _, d := range done {
		<-d
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// startNew is New and Start; a run that cannot start is closed.
func startNew(request string) (int64, error) {
	handle, err := New()
	if err != nil {
		return 0, err
	}
	if _, err := Start(handle, request, "PATH=/usr/bin:/bin"); err != nil {
		Close(handle)
		return 0, err
	}
	return handle, nil
}
