package policy

import (
	"cmp"
	"maps"
	"slices"
)

// A Profile is a policy from TOML files: the named one and, layer by layer, those that it extends.
//
// What a file says of a single value replaces what the file that it extends says of it; lists go on where that file's
// end, and tables (env) are merged. The command is a single value.
type Profile struct {
	Files   []string       // the layers, the named one last
	Command []string       // [program] exec and args; nil without
	Fields  map[string]any // as Decode takes them
}

// Load reads a profile, given by its name or, with a slash or the ending .toml, by its path, and checks it. Errors are
// *ProfileError where a file is wrong, and *Error where there is none.
func (p *Profiles) Load(nameOrPath string) (*Profile, error) {
	layers, err := p.layers(nameOrPath)
	if err != nil {
		return nil, err
	}
	profile := &Profile{Fields: map[string]any{}}
	places := map[string]place{} // of fields, in the last file that has them
	for _, l := range slices.Backward(layers) {
		profile.Files = append(profile.Files, l.file)
		if _, another := l.values[execField]; another {
			delete(profile.Fields, argsField) // they are of the program below
		}
		for field, value := range l.values {
			places[field] = l.places[field]
			if field != argsField {
				value = merged(profile.Fields[field], value)
			}
			profile.Fields[field] = value
		}
	}
	if err := profile.takeCommand(places); err != nil {
		return nil, err
	}
	if err := profile.validate(places); err != nil {
		return nil, err
	}
	return profile, nil
}

// merged lays a value over the one of the layer below.
func merged(below, above any) any {
	switch above := above.(type) {
	case []any:
		list, _ := below.([]any)
		return append([]any{}, unique(slices.Concat(list, above))...)
	case map[string]any:
		table, _ := below.(map[string]any)
		both := maps.Clone(above)
		for key, value := range table {
			if _, again := both[key]; !again {
				both[key] = value
			}
		}
		return both
	}
	return above
}

// takeCommand moves what is not the policy's out of the fields.
func (p *Profile) takeCommand(places map[string]place) error {
	program, hasProgram := p.Fields[execField].(string)
	arguments, hasArguments := p.Fields[argsField].([]any)
	if hasArguments && !hasProgram {
		return &ProfileError{places[argsField], &Error{Problem: "is there without exec", Hint: "add the program"}}
	}
	if hasProgram && program == "" {
		return &ProfileError{places[execField], &Error{Problem: "is empty", Hint: "name the program, or leave exec out"}}
	}
	if hasProgram {
		p.Command = []string{program}
	}
	for _, argument := range arguments {
		p.Command = append(p.Command, argument.(string))
	}
	delete(p.Fields, execField)
	delete(p.Fields, argsField)
	return nil
}

// validate checks the values of all layers together, as they are going to be used.
func (p *Profile) validate(places map[string]place) error {
	rules, err := Decode(p.Fields)
	if err == nil {
		err = rules.Validate()
	}
	fault, ok := err.(*Error)
	if !ok {
		return err
	}
	return &ProfileError{cmp.Or(places[fault.Field], place{File: p.Files[len(p.Files)-1]}), fault}
}
