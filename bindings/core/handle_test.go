package core

import "testing"

// Every function that takes a handle must survive any number: a panic would end the host.
func TestHandleThatIsNone(t *testing.T) {
	closed := begin(t, captured("true"))
	must(Close(closed))(t)
	for name, handle := range map[string]int64{"zero": 0, "negative": -1, "never given": 1 << 40, "closed": closed} {
		t.Run(name, func(t *testing.T) {
			for function, call := range onHandle(handle, 0) {
				if f := asFault(t, call()); f.Kind != "over" {
					t.Errorf("%s: %+v", function, f)
				}
			}
		})
	}
}

// onHandle is everything that can be done with a handle and a worker's number.
func onHandle(handle int64, index int) map[string]func() error {
	return map[string]func() error{
		"Frame":       func() error { _, err := Frame(handle); return err },
		"PID":         func() error { _, err := PID(handle); return err },
		"Serve":       func() error { _, err := Serve(handle, 0); return err },
		"Kill":        func() error { _, err := Kill(handle); return err },
		"Wake":        func() error { _, err := Wake(handle); return err },
		"Outcome":     func() error { _, err := Outcome(handle); return err },
		"Output":      func() error { _, err := Output(handle, 1); return err },
		"Start":       func() error { _, err := Start(handle, "{}", ""); return err },
		"Settle":      func() error { _, err := Settle(handle, index); return err },
		"Detach":      func() error { _, err := Detach(handle, index); return err },
		"Complete":    func() error { _, err := Complete(handle, 1, 0, 0, 0); return err },
		"Held":        func() error { _, err := Held(handle); return err },
		"Degraded":    func() error { _, err := Degraded(handle); return err },
		"Expired":     func() error { _, err := Expired(handle); return err },
		"Abandon":     func() error { _, err := Abandon(handle); return err },
		"StillWaits":  func() error { _, err := StillWaits(handle, 1); return err },
		"ReadMemory":  func() error { _, err := ReadMemory(handle, index, 1, 0, 1); return err },
		"ReadString":  func() error { _, err := ReadString(handle, index, 1, 0, 1); return err },
		"WriteMemory": func() error { _, err := WriteMemory(handle, index, 1, 0, 1); return err },
	}
}

func TestWorkerThatIsNone(t *testing.T) {
	handle := begin(t, handled(1, []string{"getppid"}, "sleep", "1000"))
	for _, index := range []int{-1, 1, 1 << 40} {
		for function, call := range onHandle(handle, index) {
			switch function {
			case "Next", "Settle", "Detach", "ReadMemory", "ReadString", "WriteMemory":
				asFault(t, call())
			}
		}
	}
}

func TestOutputBeforeTheEnd(t *testing.T) {
	handle := begin(t, captured("sleep", "1000"))
	_, err := Output(handle, 1)
	if f := asFault(t, err); f.Message != "the run has not ended" {
		t.Errorf("%+v", f)
	}
}
