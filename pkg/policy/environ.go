package policy

import (
	"slices"
	"strings"
)

// cleanNames are the variables that clean_env keeps.
var cleanNames = []string{"PATH", "HOME", "USER", "TERM", "LANG"}

// Environ returns the command's environment as "name=value" strings, sorted by name. The host's is given by the caller: a Go
// library inside another program sees the environment as it was when the process started, not as it is.
//
// Of variables that the host has twice the first counts, as for getenv(3); entries without a name are dropped.
func (p *Policy) Environ(host []string) []string {
	environ := make([]string, 0, len(p.Env)+len(host))
	for name, value := range p.Env {
		environ = append(environ, name+"="+value)
	}
	for _, entry := range host {
		name := nameOf(entry)
		if _, overridden := p.Env[name]; name == "" || overridden || p.CleanEnv && !slices.Contains(cleanNames, name) {
			continue
		}
		environ = append(environ, entry)
	}
	// Stable, so that of one name the first stays the first.
	slices.SortStableFunc(environ, func(a, b string) int { return strings.Compare(nameOf(a), nameOf(b)) })
	return slices.CompactFunc(environ, func(a, b string) bool { return nameOf(a) == nameOf(b) })
}

// nameOf is the name of a variable, empty where an entry has none.
func nameOf(entry string) string { return entry[:max(strings.IndexByte(entry, '='), 0)] }
