package policy

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// nearest finds the name that a misspelt word most likely meant, upper and lower case and word separators aside. It
// reports false when none is near enough to be worth suggesting.
func nearest(word string, names []string) (string, bool) {
	const longest = 64 // beyond it nobody misspelt a name, and the distance takes time in proportion to the length
	if len(word) > longest {
		return "", false
	}
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, name := range slices.Sorted(slices.Values(names)) { // sorted: equal distances give one answer always
		if d := levenshtein.ComputeDistance(fold(word), fold(name)); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best, best != ""
}

// listed joins names as a sentence does.
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
