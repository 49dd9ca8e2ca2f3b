package core

import (
	"runtime"
	"testing"

	"sandlock/pkg/sandbox"
)

func TestKilledBeforeTheStart(t *testing.T) {
	handle := must(New())(t)
	t.Cleanup(func() { Close(handle) })
	must(Kill(handle))(t)
	if !must(Serve(handle, 0))(t) {
		t.Error("a run that will never start has not ended")
	}
	if must(Start(handle, asJSON(t, captured("sleep", "1000")), "PATH=/usr/bin:/bin"))(t) {
		t.Error("it has started")
	}
	expectEnding(t, ending{Outcome: outcome{ExitCode: -1, Signal: 9, Reason: int(sandbox.Killed)}}, end(t, handle))
}

// Whoever waits for a run that has not started yet waits for what will start, and its kill is not lost.
func TestKilledAndWaitedForWhileItStarts(t *testing.T) {
	request := asJSON(t, captured("sleep", "1000"))
	for range 50 {
		handle := must(New())(t)
		done := make(chan error)
		go func() {
			_, err := Start(handle, request, "PATH=/usr/bin:/bin")
			done <- err
		}()
		for !lookUp(handle).starting.entered.Load() {
			runtime.Gosched()
		}
		must(Kill(handle))(t)
		expectEnding(t, ending{Outcome: outcome{ExitCode: -1, Signal: 9, Reason: int(sandbox.Killed)}}, whole(t, handle, done))
		must(Close(handle))(t)
	}
}

// whole serves a run to its end, and then waits for who started it.
func whole(t *testing.T, handle int64, started chan error) ending {
	t.Helper()
	for !must(Serve(handle, 0))(t) {
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	return end(t, handle)
}

func TestStartedTwice(t *testing.T) {
	handle := begin(t, captured("true"))
	_, err := Start(handle, asJSON(t, captured("true")), "")
	if f := asFault(t, err); f.Message != "the run was started before" {
		t.Errorf("%+v", f)
	}
}
