package network

import (
	"net/netip"
	"slices"
	"sync"
)

// A Narrowing restricts what a Judge grants, while a run is under way. The nil one restricts nothing.
type Narrowing struct {
	lineage func(task int) (process, parent int, err error)

	mu       sync.Mutex
	root     int // whose descendants are the tree
	command  int // the first of them
	narrowed bool
	peers    []netip.Prefix // of all, when narrowed
	own      map[int][]netip.Prefix
	expected map[int]expectation // by task: none waits with two calls
}

// An expectation says with which address a call goes on, after somebody has judged that.
type expectation struct {
	call    uint64
	address string
}

// NewNarrowing restricts nothing yet. lineage finds the process of a task, and that process's parent.
func NewNarrowing(lineage func(task int) (process, parent int, err error)) *Narrowing {
	return &Narrowing{lineage: lineage, own: make(map[int][]netip.Prefix), expected: make(map[int]expectation)}
}

// Begin says who the tree is, before anything of it is judged.
func (x *Narrowing) Begin(root, command int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.root, x.command = root, command
}

// Restrict lets nobody reach other peers than these from now on.
func (x *Narrowing) Restrict(peers []netip.Prefix) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.narrowed, x.peers = true, slices.Clone(peers)
}

// Grant adds peers to those that Restrict has left.
func (x *Narrowing) Grant(peers []netip.Prefix) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.peers = append(x.peers, peers...)
}

// RestrictProcess lets a process and its descendants reach no other peers than these from now on.
func (x *Narrowing) RestrictProcess(process int, peers []netip.Prefix) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.own[process] = slices.Clone(peers)
}

// MayReach reports whether a task may reach an address.
func (x *Narrowing) MayReach(task int, address netip.Addr) bool {
	if x == nil {
		return true
	}
	address = address.WithZone("").Unmap()
	contains := func(peers []netip.Prefix) bool {
		return slices.ContainsFunc(peers, func(p netip.Prefix) bool { return p.Contains(address) })
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.narrowed && !contains(x.peers) {
		return false
	}
	for _, peers := range x.about(task) {
		if !contains(peers) {
			return false
		}
	}
	return true
}

// maxAncestors bounds the way from a process up to the root, which numbers that are used again could make a circle.
const maxAncestors = 1 << 12

// about are the restrictions of a task's process and of all that it descends from. Of an orphan, whose parent is gone,
// nobody can tell: it gets all there are.
func (x *Narrowing) about(task int) (found [][]netip.Prefix) {
	if len(x.own) == 0 {
		return nil
	}
	child, itsParent := task, 0
	for range maxAncestors {
		process, parent, err := x.lineage(task)
		if err != nil {
			break
		}
		if task != child { // a child that has its parent still shows that the number was not used again meanwhile
			if _, now, err := x.lineage(child); err != nil || now != itsParent {
				break
			}
		}
		if peers, ok := x.own[process]; ok {
			found = append(found, peers)
		}
		if process == x.command {
			return found
		}
		if parent == x.root || parent <= 1 {
			break
		}
		child, itsParent, task = task, parent, parent
	}
	for _, peers := range x.own {
		found = append(found, peers)
	}
	return found
}

// Expect lets a call go on with no other address than this one, as the task has it in memory; "" is for none.
func (x *Narrowing) Expect(task int, call uint64, address string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expected[task] = expectation{call, address}
}

// Expects reports whether a call may go on with an address.
func (x *Narrowing) Expects(task int, call uint64, address string) bool {
	if x == nil {
		return true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	wanted, ok := x.expected[task]
	return !ok || wanted.call != call || wanted.address == address
}

// Forget drops what was expected of a call that is over.
func (x *Narrowing) Forget(task int, call uint64) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.expected[task].call == call {
		delete(x.expected, task)
	}
}
