package policy

import (
	"errors"
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
	for _, name := range lines.inOrder("", document) {
		where := place{File: file, Line: lines[pathOf(name, "")], Section: name}
		table, isSection := document[name].(map[string]any)
		if !isSection && !slices.Contains(sections(), name) || name == extendsKey {
			where.Section, where.Key = "", name
		}
		switch {
		case name == extendsKey:
			if err := optionalString(&l.extends, document[name]); err != nil {
				return nil, &ProfileError{where, err}
			}
			l.places[extendsKey] = where
		case !slices.Contains(sections(), name):
			return nil, &ProfileError{where, unknownSection(name)}
		case !isSection:
			return nil, &ProfileError{where, wrongType(document[name], "a section with keys")}
		}
		for _, key := range lines.inOrder(name, table) {
			where.Line, where.Key = lines[pathOf(name, key)], key
			if err := l.take(where, table[key], variables); err != nil {
				return nil, &ProfileError{where, err}
			}
		}
	}
	return l, nil
}

// take keeps the value of a key. The error has no Field.
func (l *layer) take(where place, value any, variables map[string]string) *Error {
	field, err := fieldOf(where.Section, where.Key)
	if err == nil {
		value, err = fieldValue(field, value, variables)
	}
	if err == nil {
		l.values[field], l.places[field] = value, where
	}
	return err
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
	value, err := expanded(field, value, variables)
	if err != nil {
		return nil, err
	}
	switch field {
	case timeField:
		switch moment := value.(type) {
		case time.Time:
			value = moment.Format(time.RFC3339Nano)
		case toml.LocalDateTime, toml.LocalDate, toml.LocalTime:
			return nil, &Error{Value: moment, Problem: "is no moment", Hint: "write date, time and offset, as in 2000-01-01T00:00:00Z"}
		}
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
