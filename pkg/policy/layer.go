package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// A layer is one file of a profile.
type layer struct {
	file    string
	extends string
	values  map[string]any // by field, as Decode takes them, and the command's
	places  map[string]place
}

// parseLayer reads a file's text. Every error is a *ProfileError.
func parseLayer(file string, text []byte, variables map[string]string) (*layer, error) {
	var document map[string]any
	if err := toml.Unmarshal(text, &document); err != nil {
		return nil, syntaxError(file, err)
	}
	l := &layer{file: file, values: map[string]any{}, places: map[string]place{}}
	lines := linesOf(text)
	at := func(section, key string) place {
		return place{File: file, Line: lines[pathOf(section, key)], Section: section, Key: key}
	}
	inOrder := func(section string, table map[string]any) []string { // of two mistakes the first one is reported
		return slices.SortedFunc(maps.Keys(table), func(a, b string) int {
			if section == "" {
				return cmp.Or(cmp.Compare(lines[pathOf(a, "")], lines[pathOf(b, "")]), cmp.Compare(a, b))
			}
			return cmp.Or(cmp.Compare(lines[pathOf(section, a)], lines[pathOf(section, b)]), cmp.Compare(a, b))
		})
	}
	for _, section := range inOrder("", document) {
		if section == extendsKey {
			where := place{File: file, Line: lines[pathOf(section, "")], Key: section}
			if err := optionalString(&l.extends, document[section]); err != nil {
				return nil, misplaced(where, err)
			}
			l.places[extendsKey] = where
			continue
		}
		table, ok := document[section].(map[string]any)
		if !slices.Contains(sections(), section) {
			return nil, misplaced(sectionOrKey(at(section, ""), ok), unknownSection(section))
		}
		if !ok {
			return nil, misplaced(at(section, ""), wrongType(document[section], "a section with keys"))
		}
		for _, key := range inOrder(section, table) {
			field, err := fieldOf(section, key)
			if err == nil {
				l.values[field], err = fieldValue(field, table[key], variables)
			}
			if err != nil {
				return nil, misplaced(at(section, key), err)
			}
			l.places[field] = at(section, key)
		}
	}
	if _, alone := l.values[argsField]; alone && l.values[execField] == nil {
		return nil, misplaced(l.places[argsField], &Error{Problem: "is there without exec", Hint: "add the program"})
	}
	return l, nil
}

// sectionOrKey makes a key of what is no section.
func sectionOrKey(p place, isSection bool) place {
	if !isSection {
		p.Section, p.Key = "", p.Section
	}
	return p
}

func syntaxError(file string, err error) error {
	fault := &ProfileError{place: place{File: file}, Err: errors.New("invalid TOML: " + strings.TrimPrefix(err.Error(), "toml: "))}
	var decoding *toml.DecodeError
	if errors.As(err, &decoding) {
		fault.Line, _ = decoding.Position()
	}
	return fault
}

// fieldValue expands the variables of a value, and checks that it is of the field's type.
func fieldValue(field string, value any, variables map[string]string) (any, *Error) {
	value, err := expanded(value, variables, slices.Contains(pathFields, field))
	if err != nil {
		return nil, err
	}
	switch moment := value.(type) {
	case time.Time:
		value = moment.Format(time.RFC3339Nano)
	case toml.LocalDateTime, toml.LocalDate, toml.LocalTime:
		return nil, &Error{Problem: fmt.Sprintf("has %v, which is no moment", moment),
			Hint: "write date, time and offset, as in 2000-01-01T00:00:00Z"}
	}
	switch field {
	case execField:
		var program string
		return value, optionalString(&program, value)
	case argsField:
		var arguments []string
		return value, stringList(&arguments, value)
	}
	return value, fields[field](&Policy{}, value)
}

// dropMissing takes the paths out that do not exist.
func (l *layer) dropMissing() {
	for _, field := range []string{"fs_readable", "fs_writable", "fs_denied"} {
		if list, ok := l.values[field].([]any); ok {
			l.values[field] = slices.DeleteFunc(list, func(path any) bool {
				_, err := os.Stat(path.(string))
				return errors.Is(err, os.ErrNotExist)
			})
		}
	}
}
