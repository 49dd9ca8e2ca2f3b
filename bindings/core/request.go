package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

// A request says what to start. It travels as JSON in which every string stands for bytes: each character, U+0000 to
// U+00FF, is one byte. So paths and arguments need not be UTF-8.
type request struct {
	Policy map[string]any `json:"policy"`
	Args   []text         `json:"args"`
	// Stdin, Stdout and Stderr are descriptors of the host, or one of the stdio constants.
	Stdin  int `json:"stdin"`
	Stdout int `json:"stdout"`
	Stderr int `json:"stderr"`
	// Input is in base 64, which takes a third of the time of text.
	Input []byte `json:"input"`
	Files []int  `json:"files"` // become descriptors 3, 4 and so on
	// Terminal and Held are as in sandbox.Command.
	Terminal bool     `json:"terminal"`
	Held     bool     `json:"held"`
	Timeout  *float64 `json:"timeout"` // seconds
	Workers  int      `json:"workers"`
	// Chains are the system calls that Python handles.
	Chains []chain `json:"chains"`
	Narrow bool    `json:"narrow"` // as in sandbox.Sandbox

	policy *policy.Policy
}

// A chain is a system call that Python handles, and the constant action where Python cannot.
type chain struct {
	Syscall  text     `json:"syscall"`
	Fallback answer   `json:"fallback"`
	Timeout  *float64 `json:"timeout"` // seconds
	Optional bool     `json:"optional"`
}

// The stdio constants.
const (
	stdioPipe   = -1
	stdioNull   = -2
	stdioStream = -3
	stdioStdout = -4
)

// text is bytes in the form that a request has.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	if plain, ok := plainText(data); ok {
		*t = text(plain)
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	decoded, err := toBytes(s)
	*t = text(decoded)
	return err
}

// plainText decodes what most strings are, ASCII in which nothing is escaped, ten times as fast.
func plainText(data []byte) ([]byte, bool) {
	if data[0] != '"' {
		return nil, false
	}
	data = data[1 : len(data)-1]
	for _, c := range data {
		if c >= utf8.RuneSelf || c == '\\' {
			return nil, false
		}
	}
	return data, true
}

// variablesEnd follows each variable of an environment. It is no byte's character, and unlike NUL one that gopy passes.
const variablesEnd = "\u0100"

// environ splits an environment into its variables.
func environ(encoded string) ([]string, error) {
	if encoded == "" {
		return nil, nil
	}
	variables := strings.Split(strings.TrimSuffix(encoded, variablesEnd), variablesEnd)
	for i, variable := range variables {
		var err error
		if variables[i], err = toBytes(variable); err != nil {
			return nil, err
		}
	}
	return variables, nil
}

func toBytes(s string) (string, error) {
	if isASCII(s) {
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return "", fmt.Errorf("character %U of a request is no byte", r)
		}
		b = append(b, byte(r))
	}
	return string(b), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// decodeStrings turns every string of a tree into its bytes.
func decodeStrings(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		return toBytes(v)
	case []any:
		for i := range v {
			if v[i], err = decodeStrings(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		decoded := make(map[string]any, len(v))
		for name, value := range v {
			if name, err = toBytes(name); err != nil {
				return nil, err
			}
			if decoded[name], err = decodeStrings(value); err != nil {
				return nil, err
			}
		}
		return decoded, nil
	}
	return v, nil
}

func parse(encoded string) (*request, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(encoded)))
	decoder.DisallowUnknownFields()
	decoder.UseNumber() // a float64 cannot hold every int64
	var r request
	if err := decoder.Decode(&r); err != nil {
		return nil, fmt.Errorf("decode the request: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, fmt.Errorf("decode the request: more follows after its end")
	}
	fields, err := decodeStrings(r.Policy)
	if err != nil {
		return nil, err
	}
	if r.policy, err = policy.Decode(fields.(map[string]any)); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *request) pulls() bool { return len(r.Chains) > 0 }

func (r *request) registrations() ([]sandbox.Registration, error) {
	registrations := make([]sandbox.Registration, len(r.Chains))
	for i, c := range r.Chains {
		fallback, err := c.Fallback.action()
		if err != nil {
			return nil, err
		}
		registrations[i] = sandbox.Registration{Syscall: string(c.Syscall), Fallback: fallback, Timeout: seconds(c.Timeout),
			Optional: c.Optional}
	}
	return registrations, nil
}

// seconds is a duration of Python's; none is 0. What is longer than Go can say is cut: some 292 years.
func seconds(s *float64) time.Duration {
	if s == nil {
		return 0
	}
	if *s > math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	if *s <= 0 {
		return 0
	}
	return max(1, time.Duration(*s*float64(time.Second))) // a time so short is still a limit
}

func (r *request) command() sandbox.Command {
	return sandbox.Command{
		Args:   stringsOf(r.Args),
		Stdin:  stdio(r.Stdin),
		Stdout: stdio(r.Stdout),
		Stderr: stdio(r.Stderr),
		Input:  r.Input,

		ExtraFiles: r.Files,
		Terminal:   r.Terminal,
		Held:       r.Held,
	}
}

func stringsOf(texts []text) []string {
	list := make([]string, len(texts))
	for i, t := range texts {
		list[i] = string(t)
	}
	return list
}

func stdio(number int) sandbox.Stdio {
	switch number {
	case stdioPipe:
		return sandbox.Pipe()
	case stdioNull:
		return sandbox.Null()
	case stdioStream:
		return sandbox.Stream()
	case stdioStdout:
		return sandbox.SameAsStdout()
	}
	return sandbox.Inherit(number)
}
