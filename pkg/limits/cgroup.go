package limits

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sandlock/pkg/policy"
)

// A Group is a cgroup for one tree, in which the kernel keeps its limits. See cgroups(7).
type Group struct {
	path   string
	fields map[string]string // that it keeps, with their controllers
	enter  *os.File          // what a process of the tree writes to
	events *os.File          // memory.events

	restricting sync.Mutex
}

// controllers are those that can keep limits of ours, by the field of the policy.
func controllers(rules *policy.Policy) map[string]string {
	wanted := make(map[string]string)
	if isSet(rules.MaxMemory) {
		wanted["max_memory"] = "memory"
	}
	if rules.MaxCPU != nil {
		wanted["max_cpu"] = "cpu"
	}
	return wanted
}

var groups atomic.Uint64

// NewGroup makes a cgroup for what a policy bounds, or for a part of it; nil where none is needed or can be had.
func NewGroup(rules *policy.Policy) *Group {
	fields := controllers(rules)
	g := tryGroup(rules, fields)
	for field, controller := range fields {
		if g == nil && len(fields) > 1 {
			g = tryGroup(rules, map[string]string{field: controller})
		}
	}
	return g
}

func tryGroup(rules *policy.Policy, fields map[string]string) *Group {
	if len(fields) == 0 {
		return nil
	}
	wanted := slices.Collect(maps.Values(fields))
	base, outer, err := findBase(wanted)
	if err != nil || enable(base, wanted) != nil {
		return nil
	}
	removeStale(base)
	name := fmt.Sprintf("%s%d-%d", groupPrefix, os.Getpid(), groups.Add(1))
	g := &Group{path: filepath.Join(base, name), fields: fields}
	if err := g.make(rules, outer); err != nil {
		_ = g.Close() // an empty one, which the next start removes at the latest
		return nil
	}
	return g
}

// Keeps reports whether a limit is the group's, by the field of the policy. A nil group keeps none.
func (g *Group) Keeps(field string) bool { return g != nil && g.fields[field] != "" }

func (g *Group) make(rules *policy.Policy, outer bounds) error {
	err := os.Mkdir(g.path, 0o755)
	if err != nil {
		return err
	}
	settings := map[string]string{}
	if g.Keeps("max_memory") {
		outer.lower("memory.max", *rules.MaxMemory)
		settings["memory.swap.max"], settings["memory.oom.group"] = "0", "1"
		if g.events, err = os.Open(filepath.Join(g.path, "memory.events")); err != nil {
			return err
		}
	}
	if percent, _ := rules.CPUPercent(); g.Keeps("max_cpu") {
		outer.lower("cpu.max", percent*cpuPeriod/100)
	}
	for name, bound := range outer {
		settings[name] = strconv.FormatUint(bound, 10)
		if name == "cpu.max" {
			settings[name] += " " + strconv.Itoa(cpuPeriod)
		}
	}
	for name, value := range settings {
		err := write(filepath.Join(g.path, name), value)
		if name == "memory.swap.max" && errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without swap
		}
		if err != nil {
			return err
		}
	}
	g.enter, err = os.OpenFile(filepath.Join(g.path, "cgroup.procs"), os.O_WRONLY, 0)
	return err
}

// cpuPeriod is the kernel's default, in microseconds.
const cpuPeriod = 100_000

// Path is the group's folder.
func (g *Group) Path() string { return g.path }

// Enter is a descriptor: the process that writes 0 to it, and what descends from it, is in the group.
func (g *Group) Enter() int { return int(g.enter.Fd()) }

// RestrictMemory lowers max_memory from now on; what is not lower changes nothing.
func (g *Group) RestrictMemory(most uint64) error {
	g.restricting.Lock()
	defer g.restricting.Unlock()
	now := make(bounds)
	now.add(g.path)
	if now.lower("memory.max", most); now["memory.max"] != most {
		return nil
	}
	return write(filepath.Join(g.path, "memory.max"), strconv.FormatUint(most, 10))
}

// OutOfMemory reports whether the kernel has killed the tree for its memory.
func (g *Group) OutOfMemory() bool {
	if g.events == nil {
		return false
	}
	text := make([]byte, 4096)
	n, _ := g.events.ReadAt(text, 0) // io.EOF as a rule
	for line := range strings.Lines(string(text[:n])) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok && count != "0" {
			return true
		}
	}
	return false
}

// Close kills what is left in the group, and removes it.
func (g *Group) Close() error {
	for _, file := range []*os.File{g.enter, g.events} {
		if file != nil {
			file.Close()
		}
	}
	var failed error
	err := unix.Rmdir(g.path)
	if errors.Is(err, unix.EBUSY) {
		failed = write(filepath.Join(g.path, "cgroup.kill"), "1")
		for begin := time.Now(); time.Since(begin) < time.Second; time.Sleep(time.Millisecond) {
			if err = unix.Rmdir(g.path); !errors.Is(err, unix.EBUSY) {
				break
			}
		}
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove the tree's cgroup %s: %w", g.path, errors.Join(failed, err))
	}
	return nil
}

func write(path, value string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// groupPrefix begins the names of our cgroups; the number of the host follows.
const groupPrefix = "sandlock-"

// staleAfter is how old a cgroup must be before it can be taken for one that a host has left behind: a host that cannot
// be seen, in another PID namespace, has its tree in it by then.
const staleAfter = time.Minute

// removeStale removes empty cgroups of hosts that died together with their reapers.
func removeStale(base string) {
	names, _ := filepath.Glob(filepath.Join(base, groupPrefix+"*-*"))
	for _, path := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), groupPrefix), "-")
		host, err := strconv.Atoi(number)
		info, failed := os.Stat(path)
		if err == nil && failed == nil && time.Since(info.ModTime()) > staleAfter &&
			errors.Is(unix.Kill(host, 0), unix.ESRCH) {
			_ = unix.Rmdir(path) // refused while somebody is in it
		}
	}
}
