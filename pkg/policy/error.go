package policy

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Error is one thing that is wrong with a policy: where, what, and the way out.
type Error struct {
	Field   string // the field as Decode spells it
	Value   any    // the offending value, or the one entry of a list that offends; nil when there is none to show
	Problem string // what is wrong with it, as the rest of a sentence that begins with the value
	Hint    string // what to do about it
	Cause   error  // the system's error behind it, or nil
}

// Error reads as a sentence. It is always printable UTF-8, whatever bytes the value holds.
func (e *Error) Error() string {
	subject := fieldName(e.Field)
	if e.Value != nil {
		subject += ":"
	}
	return subject + " " + e.withoutField()
}

// withoutField is the sentence for a message that names the place already.
func (e *Error) withoutField() string {
	text := e.Problem
	if e.Value != nil {
		text = quote(e.Value) + " " + text
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// MarshalJSON gives the parts of the error to a program in another language: field, value (as text that is safe to
// print, or null), problem and hint, and the whole sentence as message.
func (e *Error) MarshalJSON() ([]byte, error) {
	var value *string
	if e.Value != nil {
		quoted := quote(e.Value)
		value = &quoted
	}
	return json.Marshal(struct {
		Field   string  `json:"field"`
		Value   *string `json:"value"`
		Problem string  `json:"problem"`
		Hint    string  `json:"hint"`
		Message string  `json:"message"`
	}{fieldName(e.Field), value, e.Problem, e.Hint, e.Error()})
}

// fieldName leaves a proper name as it is; an unknown field can be any bytes and is quoted then.
func fieldName(field string) string {
	for _, c := range []byte(field) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return quote(field)
		}
	}
	if field == "" {
		return quote(field)
	}
	return field
}

// quote renders a value for people. Long ones are cut: a message of 100 KiB helps nobody.
func quote(value any) string {
	const longest = 200
	if text, ok := value.(string); ok {
		if len(text) > longest {
			return fmt.Sprintf("%s (%d bytes)", strconv.Quote(text[:longest]+"..."), len(text))
		}
		return strconv.Quote(text)
	}
	if number, ok := value.(float64); ok {
		return strconv.FormatFloat(number, 'g', -1, 64) // JSON has no word for infinite ones
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("a Go value of type %T", value)
	}
	text := strings.ToValidUTF8(string(encoded), "?")
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}
