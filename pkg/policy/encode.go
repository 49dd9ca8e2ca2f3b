package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// Encode writes fields, as Decode takes them, and a command as the text of a profile. What says nothing (an empty list,
// false) is left out. The error is an *Error.
func Encode(fields map[string]any, command []string) (string, error) {
	values := map[string]any{}
	for field, value := range fields {
		values[field] = value
	}
	if len(command) > 0 {
		values[execField] = command[0]
	}
	if len(command) > 1 {
		values[argsField] = command[1:]
	}
	var text strings.Builder
	section := ""
	for _, k := range profileKeys {
		value := plainNumbers(values[k.field])
		if k.field == "" || saysNothing(value) {
			continue
		}
		if k.section != section {
			section = k.section
			fmt.Fprintf(&text, "\n[%s]\n", section)
		}
		line, err := encodeKey(k, value)
		if err != nil {
			return "", err
		}
		text.WriteString(line)
	}
	return strings.TrimPrefix(text.String(), "\n"), nil
}

func saysNothing(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case bool:
		return !value
	case string:
		return value == ""
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

// encodeKey writes a key with its value; a table becomes a section.
func encodeKey(k profileKey, value any) (string, error) {
	const hint = "set the field in the program that uses the profile"
	if text, ok := foreignText(value); ok {
		return "", &Error{Field: k.field, Value: text, Problem: "is not UTF-8, as every text of TOML is", Hint: hint}
	}
	if number, ok := value.(json.Number); ok {
		return "", &Error{Field: k.field, Value: number, Problem: "has more than 63 bits, as numbers of TOML have", Hint: hint}
	}
	if table, ok := value.(map[string]any); ok {
		encoded, err := encodeTOML(table, false)
		return fmt.Sprintf("\n[%s.%s]\n%s", k.section, k.key, encoded), err
	}
	line, err := encodeTOML(map[string]any{k.key: value}, false)
	const longest = 100
	if err == nil && len(line) > longest {
		return encodeTOML(map[string]any{k.key: value}, true)
	}
	return line, err
}

func encodeTOML(table map[string]any, multiline bool) (string, error) {
	var encoded bytes.Buffer
	encoder := toml.NewEncoder(&encoded)
	encoder.SetArraysMultiline(multiline)
	if err := encoder.Encode(table); err != nil {
		return "", fmt.Errorf("write a profile: %w", err)
	}
	return encoded.String(), nil
}

// foreignText finds a string in a value that is not UTF-8.
func foreignText(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, !utf8.ValidString(value)
	case []any:
		for _, item := range value {
			if text, ok := foreignText(item); ok {
				return text, true
			}
		}
	case map[string]any:
		for name, item := range value {
			if text, ok := foreignText(name); ok {
				return text, true
			}
			if text, ok := foreignText(item); ok {
				return text, true
			}
		}
	}
	return "", false
}

// plainNumbers turns the numbers of a JSON decoder into those of TOML, as far as these go.
func plainNumbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
	case []any:
		list := make([]any, len(value))
		for i := range value {
			list[i] = plainNumbers(value[i])
		}
		return list
	}
	return value
}
