package netcall

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/notify"
)

// What goes wrong with a call that has waited is told at the end; that its task is gone is nothing wrong.
func TestErrorsOfCallsThatHaveWaited(t *testing.T) {
	p := New(nil, nil, nil, nil)
	p.queue.note(nil)
	p.queue.note(fmt.Errorf("write: %w", notify.ErrGone))
	if err := p.Close(); err != nil {
		t.Errorf("error %v of no error", err)
	}
	for range 2 * maxNoted {
		p.queue.note(unix.ENOMEM)
	}
	if err := p.Close(); !errors.Is(err, unix.ENOMEM) {
		t.Errorf("error %v", err)
	}
	if count := len(p.queue.errs); count != maxNoted {
		t.Errorf("%d errors are kept", count)
	}
}
