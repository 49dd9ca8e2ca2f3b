package core

import (
	"encoding/json"
	"errors"

	"golang.org/x/sys/unix"

	"sandlock/pkg/deputy"
	"sandlock/pkg/landlock"
	"sandlock/pkg/launch"
	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
	"sandlock/pkg/seccomp"
)

// A fault is an error on its way to Python, which knows errors only as text: the kind decides which exception it is
// there.
type fault struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// Error is the fault as JSON.
func (f *fault) Error() string {
	text, err := json.Marshal(f)
	if err != nil {
		return `{"kind": "sandbox", "message": "an error that cannot be told"}`
	}
	return string(text)
}

// encode makes a fault of an error; nil stays nil.
func encode(err error) error {
	if err == nil {
		return nil
	}
	var already *fault
	if errors.As(err, &already) {
		return already
	}
	return &fault{Kind: kindOf(err), Message: err.Error()}
}

func kindOf(err error) string {
	var (
		bad         *policy.Error
		profile     *policy.ProfileError
		unknown     *seccomp.UnknownSyscallError
		denied      *seccomp.DeniedError
		notAllowed  *seccomp.AllowError
		unavailable *landlock.UnavailableError
		missing     *landlock.MissingProtectionError
		namespace   *sandbox.NamespaceError
		step        *launch.StepError
	)
	switch {
	case errors.As(err, &bad), errors.As(err, &profile), errors.As(err, &unknown), errors.As(err, &denied), errors.As(err, &notAllowed):
		return "policy"
	case errors.As(err, &unavailable):
		return "landlock"
	case errors.As(err, &missing), errors.As(err, &namespace):
		return "confinement"
	case errors.As(err, &step) && step.Call == unix.SYS_SECCOMP:
		return "seccomp"
	case errors.As(err, &step) && step.Call == unix.SYS_LANDLOCK_RESTRICT_SELF:
		return "confinement"
	case errors.Is(err, notify.ErrGone), errors.Is(err, deputy.ErrUnsupported):
		return "notification"
	case errors.Is(err, errOver):
		return "over"
	}
	return "sandbox"
}
