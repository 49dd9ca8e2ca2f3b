package policy

import "strings"

const unixScheme = "unix://"

const unixRuleHint = `write unix:// and a path, as in "unix:///run/postgresql" or "unix://."`

// parseUnixRule reads an entry of net_allow or net_deny that is about Unix sockets: it has the path of one, or of a folder
// with all that are beneath. ok is false for an entry about something else. The error has no Field.
func parseUnixRule(text string) (path string, ok bool, err *Error) {
	path, ok = strings.CutPrefix(text, unixScheme)
	switch {
	case !ok && strings.HasPrefix(text, "unix:/"):
		return "", false, &Error{Value: text, Problem: "has one slash behind unix:", Hint: unixRuleHint}
	case !ok:
		return "", false, nil
	case path == "":
		return "", true, &Error{Value: text, Problem: "has no path", Hint: unixRuleHint}
	case strings.HasPrefix(path, "@"):
		return "", true, &Error{Value: text, Problem: "is about an abstract name, and those are never granted",
			Hint: "have the server listen at a path; a file of this name is " + quote(unixScheme+"./"+path)}
	case strings.Contains(path, "\x00"):
		return "", true, checkNUL("", text)
	}
	return tidy(path), true, nil
}

// ruleList reads net_allow or net_deny: the rules about peers by address, and the paths of Unix sockets.
func ruleList(field string, list []string, deny bool) (rules []NetRule, paths []string, err *Error) {
	for _, text := range list {
		path, isUnix, err := parseUnixRule(text)
		var rule NetRule
		if err == nil && !isUnix {
			rule, err = parseNetRule(text, deny)
		}
		switch {
		case err != nil:
			err.Field = field
			return nil, nil, err
		case isUnix:
			paths = append(paths, path)
		default:
			rules = append(rules, rule)
		}
	}
	return rules, paths, nil
}
