package kernel

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sandlock/pkg/landlock"
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
	notification := probeListener()
	list := []Feature{
		{Name: "user_notification", Linux: "5.0", Without: "no handlers, and nothing else that the supervisor answers"},
		{Name: "wait_killable", Linux: "5.19", Without: "a signal may interrupt a call while a handler decides about it"},
		{Name: "sync_wake_up", Linux: "6.6", Without: "handlers are several times slower"},
		{Name: "child_memory", Linux: "3.2", Without: "handlers cannot read what a call points to"},
		{Name: "pidfd", Linux: "5.3", Without: "nothing can be run"},
		{Name: "pidfd_getfd", Linux: "5.6", Without: "no rules about the network but those about TCP ports alone"},
		{Name: "pidfd_thread", Linux: "6.9", Without: "a tree lives on when its host executes another program"},
		{Name: "tree_kill", Linux: "6.12", Without: "a tree is killed process by process, as /proc lists them"},
		{Name: "cgroup", Linux: "5.14", Without: "bounds of a whole tree cannot be the kernel's"},
		{Name: "user_namespaces", Linux: "3.8", Without: "a command cannot be given another uid and gid"},
	}
	for i, probe := range []func() (bool, string){
		notification.usable, waitKillable, notification.syncWakeUp, childMemory,
		pidfd, pidfdGetfd, pidfdThread, treeKill(abi), cgroup, userNamespaces,
	} {
		list[i].Available, list[i].Detail = probe()
	}
	return list
}

func release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Sprintf("unknown (%v)", err)
	}
	return strings.TrimRight(string(name.Release[:]), "\x00")
}
