package policy

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// pathOf is how linesOf names a section, or one of its keys.
func pathOf(section, key string) string {
	if key == "" {
		return section
	}
	return section + "\x00" + key // no key of TOML has it: it would have to be escaped, and names nothing
}

// documentLines are the lines of keys, by their path.
type documentLines map[string]int

// inOrder sorts the keys of a section, or the sections, by their lines: of two mistakes the first one is reported.
func (l documentLines) inOrder(section string, table map[string]any) []string {
	line := func(key string) int {
		if section == "" {
			return l[pathOf(key, "")]
		}
		return l[pathOf(section, key)]
	}
	return slices.SortedFunc(maps.Keys(table), func(a, b string) int {
		return cmp.Or(cmp.Compare(line(a), line(b)), cmp.Compare(a, b))
	})
}

// linesOf finds the lines in which the keys of a document that is correct stand first, two levels deep.
//
// The decoder tells positions only of what is wrong for itself, hence the second look by its parser.
func linesOf(document []byte) documentLines {
	lines := documentLines{}
	var parser unstable.Parser
	parser.Reset(document)
	line, offset := 1, 0 // where the last key was
	note := func(path []string, key *unstable.Node) {
		end := int(key.Raw.Offset)
		line, offset = line+bytes.Count(document[offset:end], []byte("\n")), end
		name := pathOf(path[0], strings.Join(path[1:], ""))
		if _, again := lines[name]; !again && len(path) <= 2 {
			lines[name] = line
		}
	}
	var table []string
	for parser.NextExpression() {
		expression := parser.Expression()
		switch expression.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = noteKeys(nil, expression, note)
		case unstable.KeyValue:
			noteValue(table, expression, note)
		}
	}
	return lines
}

// noteKeys notes each part of a dotted key, beneath a path, and returns the path with them.
func noteKeys(path []string, node *unstable.Node, note func([]string, *unstable.Node)) []string {
	path = append([]string(nil), path...)
	for keys := node.Key(); keys.Next(); {
		path = append(path, string(keys.Node().Data))
		note(path, keys.Node())
	}
	return path
}

func noteValue(path []string, node *unstable.Node, note func([]string, *unstable.Node)) {
	path = noteKeys(path, node, note)
	if value := node.Value(); value.Kind == unstable.InlineTable && len(path) < 2 {
		for children := value.Children(); children.Next(); {
			noteValue(path, children.Node(), note)
		}
	}
}
