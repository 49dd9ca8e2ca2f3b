package policy

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Profiles are the files that profiles are looked for in.
type Profiles struct {
	Folder  string // the user's
	BuiltIn string // what is shipped; of its paths those count that exist, since distributions differ
	// Variables are what ${NAME} stands for in a file.
	Variables map[string]string
}

// maxProfile bounds the size of a file in bytes: more is no profile.
const maxProfile = 1 << 20

// layers reads a profile's files, the named one first.
func (p *Profiles) layers(nameOrPath string) ([]*layer, error) {
	var layers []*layer
	var asked place // who wants the next one
	for next := nameOrPath; ; {
		file, err := p.find(next, layers)
		if err != nil && asked.File != "" {
			return nil, &ProfileError{asked, err}
		}
		if err != nil {
			return nil, err
		}
		text, err := readSmall(file)
		if err != nil && asked.File != "" {
			err.Value = file
			return nil, &ProfileError{asked, err}
		}
		if err != nil {
			return nil, &ProfileError{place{File: file}, err}
		}
		l, failed := parseLayer(file, text, p.Variables)
		if failed != nil {
			return nil, failed
		}
		if filepath.Dir(file) == filepath.Clean(p.BuiltIn) {
			l.dropMissing()
		}
		layers = append(layers, l)
		if l.extends == "" {
			return layers, nil
		}
		next, asked = l.extends, l.places[extendsKey]
		if isPath(next) && !filepath.IsAbs(next) {
			next = filepath.Join(filepath.Dir(file), next)
		}
	}
}

// readSmall reads a regular file: a pipe would block, and a device may have no end.
func readSmall(file string) ([]byte, *Error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		return nil, &Error{Problem: "is no file", Hint: "name a TOML file"}
	case info.Size() > maxProfile:
		return nil, &Error{Problem: fmt.Sprintf("has %d bytes, which is too long for a profile", info.Size()), Hint: "name a TOML file"}
	default:
		var text []byte
		if text, err = os.ReadFile(file); err == nil {
			return text, nil
		}
	}
	var cause *os.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return nil, &Error{Problem: "cannot be read: " + err.Error(), Hint: "correct the path or its permissions", Cause: err}
}

func isPath(nameOrPath string) bool {
	return strings.Contains(nameOrPath, "/") || strings.HasSuffix(nameOrPath, ".toml")
}

// find gives the file of a profile that was not read yet: a user's profile may extend the built-in one of its name.
func (p *Profiles) find(nameOrPath string, done []*layer) (string, *Error) {
	isDone := func(file string) bool {
		return slices.ContainsFunc(done, func(l *layer) bool { return l.file == file })
	}
	fault := &Error{Field: "profile", Value: nameOrPath}
	if nameOrPath == "" || strings.Contains(nameOrPath, "\x00") {
		fault.Problem, fault.Hint = "is no name of a profile", p.known("")
		return "", fault
	}
	if isPath(nameOrPath) {
		file := filepath.Clean(nameOrPath)
		if isDone(file) {
			fault.Problem, fault.Hint = "extends itself", "take one of the two extends out"
			return "", fault
		}
		return file, nil
	}
	again := false
	for _, folder := range []string{p.Folder, p.BuiltIn} {
		file := filepath.Join(folder, nameOrPath+".toml")
		if folder == "" {
			continue
		}
		if isDone(file) {
			again = true
		} else if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	if again {
		fault.Problem, fault.Hint = "extends itself", "take one of the two extends out"
	} else {
		fault.Problem, fault.Hint = "is no profile in "+p.Folder+", and no built-in one", p.known(nameOrPath)
	}
	return "", fault
}

func (p *Profiles) known(name string) string {
	names := p.Names()
	if known, ok := Nearest(name, names); ok {
		return "did you mean " + known + "?"
	}
	return "there are " + listed(names)
}

// Names gives the names of the profiles that Load finds by name, sorted.
func (p *Profiles) Names() []string {
	names := map[string]bool{}
	for _, folder := range []string{p.Folder, p.BuiltIn} {
		files, err := os.ReadDir(folder)
		if err != nil {
			continue // no folder, no profiles
		}
		for _, file := range files {
			if name, isProfile := strings.CutSuffix(file.Name(), ".toml"); isProfile && name != "" {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}
