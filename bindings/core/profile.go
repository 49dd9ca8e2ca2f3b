package core

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
)

// A profileRequest says where profiles are, in the form that a request has: every character is a byte.
type profileRequest struct {
	Name      text            `json:"name"`
	Folder    text            `json:"folder"`
	BuiltIn   text            `json:"built_in"`
	Variables map[string]text `json:"variables"`
}

func profilesOf(encoded string) (*policy.Profiles, string, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(encoded)))
	decoder.DisallowUnknownFields()
	var r profileRequest
	if err := decoder.Decode(&r); err != nil {
		return nil, "", fmt.Errorf("decode the request: %w", err)
	}
	p := &policy.Profiles{Folder: string(r.Folder), BuiltIn: string(r.BuiltIn), Variables: map[string]string{}}
	for name, value := range r.Variables {
		p.Variables[name] = string(value)
	}
	return p, string(r.Name), nil
}

// LoadProfile reads a profile, and gives its files, its command and its fields as JSON in which every character is a byte.
func LoadProfile(request string) (answer string, err error) {
	defer recovered(&err)
	profiles, name, err := profilesOf(request)
	if err != nil {
		return "", encode(err)
	}
	p, err := profiles.Load(name)
	if err != nil {
		return "", encode(err)
	}
	encoded, err := json.Marshal(map[string]any{
		"files": fromBytes(p.Files), "command": fromBytes(p.Command), "fields": fromBytes(p.Fields),
	})
	return string(encoded), encode(err)
}

// ProfileNames are the names of the profiles, as JSON in which every character is a byte.
func ProfileNames(request string) (answer string, err error) {
	defer recovered(&err)
	profiles, _, err := profilesOf(request)
	if err != nil {
		return "", encode(err)
	}
	encoded, err := json.Marshal(fromBytes(profiles.Names()))
	return string(encoded), encode(err)
}

// A contentRequest is what a profile says.
type contentRequest struct {
	Policy  map[string]any `json:"policy"`
	Command []text         `json:"command"`
}

// contentOf gives the fields of a policy, and a command.
func contentOf(encoded string) (map[string]any, []string, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(encoded)))
	decoder.UseNumber()
	var r contentRequest
	if err := decoder.Decode(&r); err != nil {
		return nil, nil, fmt.Errorf("decode the request: %w", err)
	}
	fields, err := decodeStrings(r.Policy)
	if err != nil {
		return nil, nil, err
	}
	return fields.(map[string]any), stringsOf(r.Command), nil
}

// policyOf gives the policy of a request.
func policyOf(request string) (*policy.Policy, error) {
	fields, _, err := contentOf(request)
	if err != nil {
		return nil, err
	}
	return policy.Decode(fields)
}

// WriteProfile gives the text of a profile with the policy and the command of a request.
func WriteProfile(request string) (toml string, err error) {
	defer recovered(&err)
	fields, command, err := contentOf(request)
	if err != nil {
		return "", encode(err)
	}
	toml, err = policy.Encode(fields, command)
	return toml, encode(err)
}

// CheckPolicy reports what this host has against the policy of a request, without starting anything.
func CheckPolicy(request string) (fits bool, err error) {
	defer recovered(&err)
	rules, err := policyOf(request)
	if err != nil {
		return false, encode(err)
	}
	if err := sandbox.Check(rules); err != nil {
		return false, encode(err)
	}
	return true, nil
}

// fromBytes turns every string of a tree into one with a character for each byte, as toBytes expects it.
func fromBytes(v any) any {
	switch v := v.(type) {
	case string:
		characters := make([]rune, len(v))
		for i := range len(v) {
			characters[i] = rune(v[i])
		}
		return string(characters)
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = fromBytes(v[i])
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = fromBytes(v[i])
		}
		return list
	case map[string]any:
		table := make(map[string]any, len(v))
		for name, value := range v {
			table[fromBytes(name).(string)] = fromBytes(value)
		}
		return table
	}
	return v
}
