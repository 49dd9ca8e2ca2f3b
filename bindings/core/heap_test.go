package core

import (
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// With every allocation recorded, no place in the code holds more objects after many runs than before.
func TestNothingIsLeftOnTheHeap(t *testing.T) {
	defer func(usual int) { runtime.MemProfileRate = usual }(runtime.MemProfileRate)
	runtime.MemProfileRate = 1

	for name, run := range map[string]func(*testing.T){
		"plain":   func(t *testing.T) { toItsEnd(t, captured("echo", "hello"), "hello\n") },
		"handled": func(t *testing.T) { toItsEnd(t, handled(1, []string{"getppid"}, "sh", "-c", "echo $PPID"), "77\n") },
		"killed": func(t *testing.T) {
			handle := must(startNew(asJSON(t, handled(1, []string{"getppid"}, "sleep", "1000"))))(t)
			defer Close(handle)
			must(Kill(handle))(t)
			end(t, handle)
		},
		"refused": func(t *testing.T) {
			fields := captured("true")
			fields["policy"].(map[string]any)["fs_readable"] = []string{"/nonexistent"}
			if _, err := startNew(asJSON(t, fields)); err == nil {
				t.Error("a path that does not exist was granted")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 100
			for range runs { // caches fill
				run(t)
			}
			before := onHeap(t)
			for range runs {
				run(t)
			}
			for place, objects := range onHeap(t) {
				if more := objects - before[place]; more >= runs/2 {
					t.Errorf("%d runs have left %d objects of\n%s", runs, more, describe(place))
				}
			}
		})
	}
}

// toItsEnd makes a run whose calls that are trapped give 77, and closes it.
func toItsEnd(t *testing.T, fields map[string]any, stdout string) {
	t.Helper()
	handle := must(startNew(asJSON(t, fields)))(t)
	defer Close(handle)
	if fd := must(Frame(handle))(t); fd != -1 {
		memory := must(unix.Mmap(fd, 0, slotSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED))(t)
		defer unix.Munmap(memory)
		worker := python{handle, 0, memory}
		done := worker.work(t, func() { worker.answer(answerReturn, 0, 77) })
		defer func() { <-done }()
	}
	expectEnding(t, ending{Stdout: stdout}, end(t, handle))
}

// onHeap counts the objects that are in use, by the stacks that have allocated them.
func onHeap(t *testing.T) map[[32]uintptr]int64 {
	t.Helper()
	runtime.MemProfileRate = 0 // what counts does not count
	defer func() { runtime.MemProfileRate = 1 }()
	runtime.GC()
	runtime.GC() // the profile is that of the last but one
	records := make([]runtime.MemProfileRecord, 100_000)
	n, ok := runtime.MemProfile(records, false)
	if !ok {
		t.Fatalf("the profile has %d records", n)
	}
	inUse := make(map[[32]uintptr]int64)
	for _, record := range records[:n] {
		inUse[record.Stack0] += record.InUseObjects()
	}
	return inUse
}

func describe(place [32]uintptr) string {
	var functions []string
	frames := runtime.CallersFrames(place[:])
	for {
		frame, more := frames.Next()
		functions = append(functions, frame.Function)
		if !more {
			return strings.Join(functions, "\n")
		}
	}
}
