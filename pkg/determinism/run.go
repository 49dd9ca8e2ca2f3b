package determinism

import (
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
	"sandlock/pkg/supervise"
)

// A Run is what one run needs to be deterministic.
type Run struct {
	random      *random      // nil without random_seed
	clock       *clock       // nil without time_start
	directories *directories // nil without deterministic_dirs

	mu  sync.Mutex
	err error // the first reason for which a task was killed
}

// New makes what a policy asks for, or nil when it asks for nothing. The deputy, which opens devices for the tasks, is
// asked for when it is needed.
func New(rules *policy.Policy, opener func() *deputy.Deputy) *Run {
	if rules.RandomSeed == nil && rules.TimeStart.IsZero() && !rules.DeterministicDirs {
		return nil
	}
	r := &Run{}
	if rules.RandomSeed != nil {
		r.random = newRandom(*rules.RandomSeed, opener)
	}
	if !rules.TimeStart.IsZero() {
		r.clock = &clock{start: rules.TimeStart}
	}
	if rules.DeterministicDirs {
		r.directories = &directories{}
	}
	return r
}

// firstCalls are calls that programs make before anything that counts: ld.so and static programs with glibc ask for the
// break first, musl and Go on amd64 set the thread's register, and others the address of the thread's number.
var firstCalls = []string{"brk", "arch_prctl", "set_tid_address", "sched_getaffinity"}

// Handlers are by the name of their system call; a name that this machine does not have is no error. Of brk only the
// calls that ask for the break matter: see package seccomp.
func (r *Run) Handlers() map[string]supervise.Handler {
	handlers := make(map[string]supervise.Handler)
	if r.random != nil || r.clock != nil {
		for _, name := range firstCalls {
			handlers[name] = supervise.HandlerFunc(r.settle)
		}
	}
	if r.clock != nil {
		maps.Copy(handlers, r.clock.handlers())
	}
	if r.random != nil {
		handlers["getrandom"] = supervise.HandlerFunc(r.random.getrandom)
		for _, name := range []string{"open", "openat", "openat2"} {
			handlers[name] = supervise.HandlerFunc(r.random.open)
		}
	}
	if r.directories != nil {
		for _, name := range []string{"getdents", "getdents64"} {
			handlers[name] = supervise.HandlerFunc(r.directories.getdents)
		}
	}
	return handlers
}

// settle changes a new image before it looks. A task whose image cannot be changed is killed: it would see what it must
// not.
func (r *Run) settle(n *notify.Notification) supervise.Action {
	err := r.change(n)
	if err == nil || !n.Valid() {
		return supervise.Continue()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = fmt.Errorf("make a program deterministic: %w", err)
	}
	return supervise.Kill(unix.SIGKILL, 0)
}

func (r *Run) change(n *notify.Notification) error {
	vector, err := readAuxv(n)
	if err != nil {
		return err
	}
	code := make(map[string][]byte)
	if r.random != nil {
		if err := r.random.seedVector(n, vector); err != nil {
			return err
		}
		code["getrandom"] = noSuchCall
	}
	if r.clock != nil {
		r.clock.now() // it runs from here on
		maps.Copy(code, r.clock.code())
	}
	return patch(n, vector, code)
}

// Close ends what still feeds devices, and tells why tasks were killed. No task of the run may be left.
func (r *Run) Close() error {
	if r.random != nil {
		r.random.devices.close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
