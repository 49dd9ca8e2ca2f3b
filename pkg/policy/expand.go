package policy

import (
	"maps"
	"slices"
	"strings"
)

// expanded replaces ${NAME} in every string. In a path every name must be known; elsewhere, in a script for sh say, the
// other ones stay.
func expanded(value any, variables map[string]string, isPath bool) (any, *Error) {
	switch value := value.(type) {
	case string:
		return expandedText(value, variables, isPath)
	case []any:
		list := make([]any, len(value))
		for i := range value {
			var err *Error
			if list[i], err = expanded(value[i], variables, isPath); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		table := make(map[string]any, len(value))
		for name := range value {
			var err *Error
			if table[name], err = expanded(value[name], variables, isPath); err != nil {
				return nil, err
			}
		}
		return table, nil
	}
	return value, nil
}

func expandedText(text string, variables map[string]string, isPath bool) (string, *Error) {
	if isPath && (text == "~" || strings.HasPrefix(text, "~/")) {
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
