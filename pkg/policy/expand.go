package policy

import (
	"maps"
	"slices"
	"strings"
)

// expanded replaces ${NAME} in every string of a field. In a path every name must be known; elsewhere, in a script for sh
// say, the other ones stay.
func expanded(field string, value any, variables map[string]string) (any, *Error) {
	switch value := value.(type) {
	case string:
		return expandedText(field, value, variables)
	case []any:
		list := make([]any, len(value))
		for i := range value {
			var err *Error
			if list[i], err = expanded(field, value[i], variables); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		table := make(map[string]any, len(value))
		for name := range value {
			var err *Error
			if table[name], err = expanded(field, value[name], variables); err != nil {
				return nil, err
			}
		}
		return table, nil
	}
	return value, nil
}

// pathIn is the path that a text of a field is, or has behind unix://.
func pathIn(field, text string) (path string, ok bool) {
	if slices.Contains(ruleFields, field) {
		return strings.CutPrefix(text, unixScheme)
	}
	return text, slices.Contains(pathFields, field)
}

func expandedText(field, text string, variables map[string]string) (string, *Error) {
	path, isPath := pathIn(field, text)
	if isPath && (path == "~" || strings.HasPrefix(path, "~/")) {
		return "", &Error{Value: text, Problem: "begins with ~, which only shells expand", Hint: "write ${HOME}"}
	}
	var done strings.Builder
	rest := text
	for {
		before, behind, found := strings.Cut(rest, "${")
		done.WriteString(before)
		if !found {
			return done.String(), nil
		}
		name, after, closed := strings.Cut(behind, "}")
		value, known := variables[name]
		switch {
		case closed && known:
			done.WriteString(value)
			rest = after
		case isPath:
			return "", &Error{Value: text, Problem: "has a ${ that stands for nothing",
				Hint: "the names are " + listed(slices.Sorted(maps.Keys(variables)))}
		default:
			done.WriteString("${")
			rest = behind
		}
	}
}
