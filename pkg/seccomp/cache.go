package seccomp

import (
	"fmt"
	"sync"
)

// maxCached bounds the filters that a Cache remembers; a program has few policies, or so many that none comes again.
const maxCached = 64

// A Cache compiles each Spec once, the nonce aside: most filters have no use for it. The zero value is empty.
type Cache struct {
	mu      sync.Mutex
	filters map[string]*Filter
}

// Compile is the package's Compile. The Filter is shared, and must not be changed.
func (c *Cache) Compile(s Spec) (*Filter, error) {
	nonce := s.LaunchNonce
	s.LaunchNonce = 0
	key := fmt.Sprintf("%#v", s)
	c.mu.Lock()
	defer c.mu.Unlock()
	filter, ok := c.filters[key]
	if !ok {
		var err error
		if filter, err = Compile(s); err != nil {
			return nil, err
		}
		if len(c.filters) >= maxCached || c.filters == nil {
			c.filters = make(map[string]*Filter)
		}
		c.filters[key] = filter
	}
	if filter.stopsLauncher() {
		s.LaunchNonce = nonce
		return Compile(s)
	}
	return filter, nil
}

// stopsLauncher says whether the launcher needs a nonce to get past the filter.
func (f *Filter) stopsLauncher() bool {
	for _, name := range launcherCalls {
		if v := f.named(name); v != nil && v.Action != Allow {
			return true
		}
	}
	return false
}
