package policy

import (
	"fmt"
	"strings"
)

// ProfileError is what is wrong with the text of a profile.
type ProfileError struct {
	place
	Err error // what is wrong there, an *Error or one of the TOML decoder
}

// place is where something stands: [section] key in a line of a file.
type place struct {
	File    string
	Line    int // from 1; 0 where the whole file is meant
	Section string
	Key     string
}

// Error begins as compilers do, so that editors find the place.
func (e *ProfileError) Error() string {
	var text strings.Builder
	text.WriteString(printable(e.File))
	if e.Line > 0 {
		fmt.Fprintf(&text, ":%d", e.Line)
	}
	text.WriteString(": ")
	switch {
	case e.Section != "" && e.Key != "":
		fmt.Fprintf(&text, "[%s] %s: ", keyName(e.Section), keyName(e.Key))
	case e.Section != "":
		fmt.Fprintf(&text, "[%s]: ", keyName(e.Section))
	case e.Key != "":
		fmt.Fprintf(&text, "%s: ", keyName(e.Key))
	}
	if fault, ok := e.Err.(*Error); ok {
		text.WriteString(fault.withoutField())
	} else {
		text.WriteString(e.Err.Error())
	}
	return text.String()
}

func (e *ProfileError) Unwrap() error { return e.Err }

// keyName shows a key as TOML has it, bare if possible.
func keyName(key string) string {
	bare := func(c rune) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
	}
	if key != "" && strings.IndexFunc(key, func(c rune) bool { return !bare(c) }) < 0 && len(key) <= maxKeyName {
		return key
	}
	return quote(key)
}

const maxKeyName = 64

// printable shows a file's name, which can be any bytes.
func printable(name string) string {
	if quoted := quote(name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
