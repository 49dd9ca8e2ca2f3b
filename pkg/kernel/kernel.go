package kernel

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
	"sandlock/pkg/limits"
	"sandlock/pkg/policy"
)

// A Feature is one thing that a kernel may offer.
type Feature struct {
	Name      string `json:"name"`
	Available bool   `json:"available"`
	Linux     string `json:"linux"`   // the first release that can have it
	Without   string `json:"without"` // what its lack means
	Detail    string `json:"detail"`  // what was found, where that says more; else empty
}

// A Report is what a kernel offers.
type Report struct {
	Release     string    `json:"release"`      // as uname(2) has it
	LandlockABI int       `json:"landlock_abi"` // 0 without Landlock
	Landlock    string    `json:"landlock"`     // why there is none; else empty
	Protections []Feature `json:"protections"`  // in the order of their numbers
	Features    []Feature `json:"features"`
}

// Detect asks the kernel, the first time that it is called.
var Detect = sync.OnceValue(detect)

func detect() Report {
	r := Report{Release: release()}
	abi, err := landlock.ABI()
	if err != nil {
		r.Landlock = err.Error()
	}
	r.LandlockABI, r.Protections, r.Features = abi, protections(abi), features(abi)
	return r
}

// protections are the policy's, on a kernel of the given Landlock ABI.
func protections(abi int) []Feature {
	var list []Feature
	for _, p := range policy.Protections() {
		needs := landlock.Requires(p)
		list = append(list, Feature{Name: p.String(), Available: needs.ABI <= abi, Linux: needs.Linux, Without: needs.Without})
	}
	return list
}

// features are what a sandbox uses beside Landlock.
func features(abi int) []Feature {
	listener := probeListener()
	list := []struct {
		name, linux, without string
		probe                func() (available bool, detail string)
	}{
		{"user_notification", "5.0", "no handlers, and nothing else that the supervisor answers", listener.usable},
		{"wait_killable", "5.19", "a signal may interrupt a call while a handler decides about it", waitKillable},
		{"sync_wake_up", "6.6", "handlers are several times slower", listener.syncWakeUp},
		{"child_memory", "3.2", "handlers cannot read what a call points to", childMemory},
		{"pidfd", "5.3", "nothing can be run", pidfd},
		{"pidfd_getfd", "5.6", "no rules about the network but those about TCP ports alone", pidfdGetfd},
		{"pidfd_thread", "6.9", "a tree lives on when its host executes another program", pidfdThread},
		{"tree_kill", "6.12", "a tree is killed process by process, as /proc lists them", treeKill(abi)},
		{"cgroup", "5.14", "max_memory and max_cpu are kept by looking at the tree, not by the kernel", cgroup},
		{"user_namespaces", "3.8", "a command cannot be given another uid and gid", userNamespaces},
	}
	found := make([]Feature, len(list))
	for i, f := range list {
		available, detail := f.probe()
		found[i] = Feature{Name: f.name, Available: available, Linux: f.linux, Without: f.without, Detail: detail}
	}
	return found
}

// cgroup asks for a folder in which the user may make cgroups. See cgroups(7), "Delegation".
func cgroup() (bool, string) {
	folder, err := limits.GroupFolder()
	if err != nil {
		return false, err.Error()
	}
	return true, folder
}

func release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return strings.TrimRight(string(name.Release[:]), "\x00")
}
