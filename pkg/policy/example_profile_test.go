package policy_test

import (
	"fmt"
	"os"
	"path/filepath"

	"sandlock/pkg/policy"
)

// A profile that extends another one.
func ExampleProfiles_Load() {
	folder, err := os.MkdirTemp("", "profiles")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			panic(err)
		}
	}
	write("tools.toml", "[filesystem]\nread = ['/usr']\n")
	write("build.toml", "extends = 'tools'\n[program]\nexec = 'make'\n[filesystem]\nread = ['${HOME}/include']\n")

	profiles := policy.Profiles{Folder: folder, Variables: map[string]string{"HOME": "/home/me"}}
	profile, err := profiles.Load("build")
	if err != nil {
		panic(err)
	}
	rules, err := policy.Decode(profile.Fields)
	if err != nil {
		panic(err)
	}
	fmt.Println(profile.Command, rules.FSReadable)
	// Output: [make] [/usr /home/me/include]
}
