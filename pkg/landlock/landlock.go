// Package landlock turns a policy into a Landlock ruleset that fits the kernel's Landlock ABI, or says what is missing.
//
// What a ruleset establishes for the process that restricts itself by it:
//
//   - Files. Beneath an fs_readable entry files are read and executed and folders listed; beneath an fs_writable one
//     everything that Landlock controls is allowed except making device nodes. Everything else is refused (EACCES).
//     Entries are opened once, when the ruleset is built, and the rule is on what was found then: a symbolic link is
//     followed to its target unless the command may have made it, a relative path starts at the working directory, and a file that is later replaced by
//     rename, as editors do, is another file with no rule of its own. Landlock does not control stat, chmod, chown,
//     utime, extended attributes, chdir and readlink.
//   - fs_denied wins. What is beneath a granted folder is carved out of it: see carve.go.
//   - Network. TCP is bound and connected on the ports of the policy's rules only, and UDP (from ABI 10) not at all
//     unless some rule is about it. Addresses are not Landlock's: see package network.
//   - Other processes. Signals and abstract Unix sockets stay inside the sandbox from ABI 6, path sockets outside
//     fs_writable are out of reach from ABI 9, and ptrace and its like stay inside on every ABI.
package landlock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// ABI asks the kernel for its Landlock ABI version, 1 or more. Where there is none the error is an *UnavailableError.
func ABI() (int, error) {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0, &UnavailableError{Errno: errno}
	}
	return int(version), nil
}

// UnavailableError says that Landlock cannot be used at all, and why.
type UnavailableError struct {
	Errno unix.Errno // what landlock_create_ruleset answered
}

// Error tells the cause and the way out.
func (e *UnavailableError) Error() string {
	switch e.Errno {
	case unix.ENOSYS:
		return "this kernel has no Landlock: run Linux " + levels[0].linux + " or newer, built with CONFIG_SECURITY_LANDLOCK=y " +
			"(or, in a container, a seccomp profile that lets the landlock_* calls through)"
	case unix.EOPNOTSUPP:
		return "this kernel has Landlock, but it was not enabled at boot: add landlock to the list of the lsm= kernel parameter"
	}
	return fmt.Sprintf("Landlock is refused here (%v), probably by the seccomp profile of a container: let the landlock_* calls through", e.Errno)
}

func (e *UnavailableError) Unwrap() error { return e.Errno }
