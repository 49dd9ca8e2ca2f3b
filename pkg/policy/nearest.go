package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest finds the name that a misspelt word most likely meant, upper and lower case and word separators aside. It
// reports false when none is near enough to be worth suggesting: more than two typing errors away, a guess confuses.
func Nearest(word string, names []string) (string, bool) {
	const longest = 64 // beyond it nobody misspelt a name, and the distance takes time in proportion to the length
	if len(word) > longest {
		return "", false
	}
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	best, bestDistance := "", 3
	// Of equal distances one gives the answer always, the longest: letters are left out more often than added.
	longestFirst := func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b)) }
	for _, name := range slices.SortedFunc(slices.Values(names), longestFirst) {
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
