package policy

import (
	"maps"
	"slices"
	"strings"
)

// cleanNames are the variables that clean_env keeps.
var cleanNames = []string{"PATH", "HOME", "USER", "TERM", "LANG"}

// Environ returns the command's environment as sorted "name=value" strings. The host's is given by the caller: a Go
// library inside another program sees the environment as it was when the process started, not as it is.
//
// Of variables that the host has twice the first counts, as for getenv(3); entries without a name are dropped.
func (p *Policy) Environ(host []string) []string {
	variables := make(map[string]string, len(host)+len(p.Env))
	for _, entry := range host {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" || p.CleanEnv && !slices.Contains(cleanNames, name) {
			continue
		}
		if _, again := variables[name]; !again {
			variables[name] = value
		}
	}
	maps.Copy(variables, p.Env)
	environ := make([]string, 0, len(variables))
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		environ = append(environ, name+"="+variables[name])
	}
	return environ
}
