package notify_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/seccomp"
)

// The tests run the test binary again as a child behind a filter that sends getppid to a listener. Nobody else calls
// it, and the kernel ignores its arguments, so that they can tell the host anything.

// limit bounds each test: when it is over the child is killed, which ends whatever waits for it.
const limit = time.Minute

// childEnv names what the child is to do.
const childEnv = "NOTIFY_TEST_CHILD"

var children = map[string]func(){
	"ask":    askForever,
	"ask N":  askMany,
	"memory": showMemory,
	"wait":   func() { io.Copy(io.Discard, os.Stdin) },
}

func TestMain(m *testing.M) {
	if do, ok := children[os.Getenv(childEnv)]; ok {
		do()
		return
	}
	os.Exit(m.Run())
}

// ask makes the call that is sent to the host, and gives what came back in the register of the result.
func ask(args ...uintptr) int64 {
	var a [6]uintptr
	copy(a[:], args)
	result, _, errno := unix.Syscall6(unix.SYS_GETPPID, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return -int64(errno)
	}
	return int64(result)
}

func askForever() {
	for {
		fmt.Println(ask(1, 2, 3, 4, 5, 1<<63))
	}
}

// askMany asks as often as its argument says, and tells how often the answer was the number of the question.
func askMany() {
	count, _ := strconv.Atoi(os.Args[1])
	right := 0
	for i := range count {
		if ask(uintptr(i)) == int64(i) {
			right++
		}
	}
	fmt.Println(right)
}

// showMemory fills pages from stdin, protects as many of them as its argument says, the last ones, against writing,
// asks with their address, and prints what they hold afterwards. The page after them is not mapped.
func showMemory() {
	readOnly, _ := strconv.Atoi(os.Args[1])
	content, _ := io.ReadAll(os.Stdin)
	pageSize := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, len(content)+pageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	copy(memory, content)
	if protected := memory[len(content)-readOnly*pageSize : len(content)]; len(protected) > 0 {
		if err := unix.Mprotect(protected, unix.PROT_READ); err != nil {
			panic(err)
		}
	}
	start := uintptr(unsafe.Pointer(&memory[0]))
	if _, _, errno := unix.Syscall(unix.SYS_MUNMAP, start+uintptr(len(content)), uintptr(pageSize), 0); errno != 0 {
		panic(errno)
	}
	ask(start)
	os.Stdout.Write(memory[:len(content)])
}

// A child is a started child with its listener and the host's ends of its pipes.
type child struct {
	*launch.Process
	listener *notify.Listener
	stdin    *os.File
	stdout   *bufio.Reader

	mu     sync.Mutex
	reaped bool
}

// startChild starts a child with a call to the host for getppid. It is gone when the test is over.
func startChild(t *testing.T, name string, args ...string) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, executable, append([]string{executable}, args...), childEnv+"="+name)
}

func startProgram(t *testing.T, path string, argv []string, env ...string) *child {
	t.Helper()
	p, stdin, stdout := launched(t, seccomp.ListenerFlags(), path, argv, env...)
	return supervised(t, p, stdin, stdout)
}

// launched starts a program behind the filter; the listener is still a bare descriptor.
func launched(t *testing.T, flags uint, path string, argv []string, env ...string) (p *launch.Process, stdin, stdout *os.File) {
	t.Helper()
	filter, err := seccomp.Compile(seccomp.Spec{Arch: seccomp.Native(), Notify: []int{unix.SYS_GETPPID}})
	if err != nil {
		t.Fatal(err)
	}
	childIn, stdin := pipe(t)
	stdout, childOut := pipe(t)
	defer childIn.Close()
	defer childOut.Close()
	p, err = launch.Start(launch.Spec{
		Path: path, Argv: argv, Dir: -1,
		Env:     slices.Concat([]string{"PATH=/usr/bin:/bin", "GORACE=atexit_sleep_ms=0"}, env),
		Files:   []int{int(childIn.Fd()), int(childOut.Fd()), int(childOut.Fd())},
		Ruleset: -1, ReaperRuleset: -1,
		Filter: filter.Program, FilterFlags: flags,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, stdin, stdout
}

// supervised sees to it that the child ends with the test, and within the test's time.
func supervised(t *testing.T, p *launch.Process, stdin, stdout *os.File) *child {
	t.Helper()
	listener, err := notify.NewListener(p.Listener)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Process: p, listener: listener, stdin: stdin, stdout: bufio.NewReader(stdout)}
	overdue := time.AfterFunc(limit, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.reaped {
			t.Errorf("not done after %v", limit)
			c.Signal(unix.SIGKILL)
		}
	})
	t.Cleanup(func() {
		overdue.Stop()
		c.kill(t)
		c.reap(t)
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// kill ends the child and returns when it is a zombie at most.
func (c *child) kill(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	if !c.reaped {
		c.Signal(unix.SIGKILL) // fails only where it has ended already
	}
	c.mu.Unlock()
	c.gone(t)
}

// gone waits until the child is a zombie at most.
func (c *child) gone(t *testing.T) {
	t.Helper()
	for !c.reaped {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(c.Ended()), Events: unix.POLLIN}}, -1)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// reap waits for the child's end.
func (c *child) reap(t *testing.T) (status launch.Status) {
	t.Helper()
	c.gone(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return status
	}
	c.reaped = true
	status, err := c.Wait()
	if err != nil {
		t.Error(err)
	}
	return status
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// receive gives the child's next notification.
func (c *child) receive(t *testing.T) *notify.Notification {
	t.Helper()
	var n notify.Notification
	if err := c.listener.Receive(&n); err != nil {
		c.kill(t)
		t.Fatalf("Receive: %v; the child says: %s", err, c.rest())
	}
	return &n
}

// told gives the next number that the child prints.
func (c *child) told(t *testing.T) int64 {
	t.Helper()
	line, err := c.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("the child says %q: %v", line, err)
	}
	number, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		t.Fatalf("the child says %q and %q", line, c.rest())
	}
	return number
}

func (c *child) rest() string {
	text, _ := io.ReadAll(c.stdout)
	return string(text)
}

// eventually waits for what no event tells.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for begin := time.Now(); !is(); time.Sleep(100 * time.Microsecond) {
		if time.Since(begin) > limit {
			t.Fatalf("not after %v: %s", limit, what)
		}
	}
}

// inCall waits until a thread is blocked in a system call, by its file "syscall" in /proc.
func inCall(t *testing.T, path string, number int) {
	t.Helper()
	if _, err := os.ReadFile("/proc/self/syscall"); err != nil {
		t.Skipf("this kernel does not tell what a thread waits in: %v", err)
	}
	eventually(t, fmt.Sprintf("system call %d in %s", number, path), func() bool {
		text, _ := os.ReadFile(path)
		first, _, _ := strings.Cut(string(text), " ")
		return first == strconv.Itoa(number)
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
