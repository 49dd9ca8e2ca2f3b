package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Protection is one thing that Landlock enforces on newer kernels only, and that a user may therefore opt out of by
// name. The numbers are part of the Python API.
type Protection int

const (
	FSRefer                 Protection = 0 // files moved and linked between folders keep to the policy
	FSTruncate              Protection = 1 // files are truncated only where they may be written
	NetTCP                  Protection = 2 // TCP connections and listeners are refused
	FSIoctlDev              Protection = 3 // devices are controlled by ioctl only where they may be written
	SignalScope             Protection = 4 // signals reach the sandbox only
	AbstractUnixSocketScope Protection = 5 // abstract Unix sockets outside the sandbox are out of reach
)

var protectionNames = map[Protection]string{
	FSRefer:                 "FS_REFER",
	FSTruncate:              "FS_TRUNCATE",
	NetTCP:                  "NET_TCP",
	FSIoctlDev:              "FS_IOCTL_DEV",
	SignalScope:             "SIGNAL_SCOPE",
	AbstractUnixSocketScope: "ABSTRACT_UNIX_SOCKET_SCOPE",
}

const protectionHint = "the protections are FS_REFER (0), FS_TRUNCATE (1), NET_TCP (2), FS_IOCTL_DEV (3), SIGNAL_SCOPE (4) " +
	"and ABSTRACT_UNIX_SOCKET_SCOPE (5)"

// Protections returns every protection, in the order of their numbers.
func Protections() []Protection {
	return slices.Sorted(maps.Keys(protectionNames))
}

// String returns the name that the Python API uses.
func (p Protection) String() string {
	if name, ok := protectionNames[p]; ok {
		return name
	}
	return fmt.Sprintf("Protection(%d)", int(p))
}

// ParseProtection reads a protection's name ("NET_TCP") or number ("2").
func ParseProtection(text string) (Protection, error) {
	if number, err := strconv.Atoi(text); err == nil {
		if _, known := protectionNames[Protection(number)]; known {
			return Protection(number), nil
		}
	}
	for protection, name := range protectionNames {
		if name == text {
			return protection, nil
		}
	}
	hint := protectionHint
	if name, ok := Nearest(text, slices.Collect(maps.Values(protectionNames))); ok {
		hint = "did you mean " + name + "?"
	}
	return 0, &Error{Field: "protection", Value: text, Problem: "is not the name or number of a protection", Hint: hint}
}
