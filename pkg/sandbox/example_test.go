package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"sandlock/pkg/notify"
	"sandlock/pkg/policy"
	"sandlock/pkg/sandbox"
	"sandlock/pkg/supervise"
)

// A handler counts how often cat opens files of a folder. It sees every other openat as well: those of the loader, for
// one, which differ from machine to machine.
func Example() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	for name, text := range map[string]string{"one": "Hello, ", "two": "world"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			fmt.Println(err)
			return
		}
	}

	opened := 0
	count := func(n *notify.Notification) supervise.Action {
		path := make([]byte, 4096)
		length, err := n.ReadString(path, n.Args()[1], len(path)-1)
		if err == nil && filepath.Dir(string(path[:length])) == folder {
			opened++
		}
		return supervise.Continue() // we only watch: the kernel reads the path again
	}
	s := sandbox.Sandbox{
		Policy:   policy.Policy{FSReadable: append(system(), folder)},
		Handlers: []sandbox.Registration{{Syscall: "openat", Handler: supervise.HandlerFunc(count)}},
	}
	result, err := s.Run(context.Background(), sandbox.Command{
		Args:    []string{"cat", filepath.Join(folder, "one"), filepath.Join(folder, "two"), filepath.Join(folder, "one")},
		Environ: os.Environ(),
		Stdout:  sandbox.Pipe(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q\n", result.Stdout)
	fmt.Println("exit code", result.ExitCode)
	fmt.Println("opened", opened, "files of the folder")
	// Output:
	// "Hello, worldHello, "
	// exit code 0
	// opened 3 files of the folder
}
