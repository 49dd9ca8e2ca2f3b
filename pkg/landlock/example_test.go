package landlock_test

import (
	"errors"
	"fmt"

	"sandlock/pkg/landlock"
	"sandlock/pkg/policy"
)

// A policy that is meant for every kernel says what it can go without. Here Build does as on Linux 6.7 (ABI 4).
func Example() {
	p := &policy.Policy{FSReadable: []string{"/usr"}, AllowDegraded: []policy.Protection{policy.FSIoctlDev}}

	_, err := landlock.Build(p, 4)
	var missing *landlock.MissingProtectionError
	if errors.As(err, &missing) {
		fmt.Println(missing.Missing)
	}
	// Output:
	// [SIGNAL_SCOPE ABSTRACT_UNIX_SOCKET_SCOPE]
}
