package landlock

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// SignalScope makes a ruleset that restricts nothing but signals: whoever enforces it reaches the processes that
// descend from it since, and no others. It is nil where the ABI has no signal scope.
//
// Moving and linking files between folders has to be granted: every ruleset refuses it that does not (EXDEV), also one
// that is not about files. See landlock(7), LANDLOCK_ACCESS_FS_REFER.
func SignalScope(abi int) (*Ruleset, error) {
	if abi < Requires(policy.SignalScope).ABI {
		return nil, nil
	}
	root, err := openat(unix.AT_FDCWD, "/", unix.O_PATH)
	if err != nil {
		return nil, fmt.Errorf("open the root folder: %w", err)
	}
	defer unix.Close(root)
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_REFER, Scoped: unix.LANDLOCK_SCOPE_SIGNAL}
	fd, err := createRuleset(&attr)
	if err != nil {
		return nil, fmt.Errorf("create Landlock ruleset for the signal scope: %w", err)
	}
	if err := addPathRule(fd, root, unix.LANDLOCK_ACCESS_FS_REFER); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("grant moving between folders: %w", err)
	}
	return &Ruleset{fd: fd}, nil
}

// QuietFlags are the flags of landlock_restrict_self(2) that keep what is refused to the caller out of the audit log,
// as far as the ABI has them: for a caller that expects refusals.
func QuietFlags(abi int) uint {
	if abi < 7 {
		return 0
	}
	return unix.LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF
}
