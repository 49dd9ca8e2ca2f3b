package core

import (
	"encoding/json"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

// Ruleset makes the Landlock ruleset of the policy of a request, for a process that confines itself: as JSON its
// descriptor, which is the caller's, and the numbers of the protections that it does without.
func Ruleset(request string) (answer string, err error) {
	defer recovered(&err)
	rules, err := policyOf(request)
	if err != nil {
		return "", encode(err)
	}
	fd, degraded, err := sandbox.Ruleset(rules)
	if err != nil {
		return "", encode(err)
	}
	encoded, err := json.Marshal(map[string]any{"fd": fd, "degraded": append([]policy.Protection{}, degraded...)})
	return string(encoded), encode(err)
}
