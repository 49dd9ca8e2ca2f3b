package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"sandlock/pkg/launch"
	"sandlock/pkg/policy"
)

// identify decides who the command is. In a user namespace of its own it would have all capabilities over that, and
// keeps none: under no_new_privs not even a command that is shown as root gets them by execve.
func (p *preparation) identify(rules *policy.Policy) error {
	p.spec.Umask = rules.Umask
	own, err := capabilities()
	if err != nil {
		return err
	}
	if rules.UID == nil {
		p.spec.Capabilities = own
		return nil
	}
	p.spec.Identity = &launch.Identity{UID: *rules.UID, GID: *rules.GID,
		DropGroups: own[0].Effective&(1<<unix.CAP_SETGID) != 0}
	return nil
}

// NamespaceError says that this host may make no user namespace, and why, where the kernel tells.
type NamespaceError struct{ cause *launch.NamespaceError }

func (e *NamespaceError) Error() string {
	return fmt.Sprintf("uid and gid: %v: %s; leave uid and gid out to run as the host's user", e.cause, obstacle(e.cause))
}

func (e *NamespaceError) Unwrap() error { return e.cause }

// namespaceSettings are the values with which the kernel, or a distribution's, refuses user namespaces.
var namespaceSettings = []struct{ sysctl, refuses string }{
	{"user/max_user_namespaces", "0"},
	{"kernel/unprivileged_userns_clone", "0"},             // Debian
	{"kernel/apparmor_restrict_unprivileged_userns", "1"}, // Ubuntu
}

// obstacle names what is in the way.
func obstacle(err error) string {
	for _, setting := range namespaceSettings {
		value, unreadable := os.ReadFile("/proc/sys/" + setting.sysctl)
		if unreadable == nil && strings.TrimSpace(string(value)) == setting.refuses {
			return "the sysctl " + strings.ReplaceAll(setting.sysctl, "/", ".") + " is " + setting.refuses
		}
	}
	switch {
	case errors.Is(err, unix.ENOSPC):
		return "there are as many as the sysctl user.max_user_namespaces allows, or 32 within each other"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "a chroot, a seccomp filter or a security module around this process may refuse them"
	}
	return "see user_namespaces(7)"
}
