package policy_test

import (
	"fmt"

	"sandlock/pkg/policy"
)

func Example() {
	p, err := policy.Decode(map[string]any{
		"fs_readable": []any{"/usr/", "/etc", "/usr"},
		"fs_writable": []any{"./work"},
		"clean_env":   true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err = p.Normalized()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.FSReadable, p.FSWritable)
	fmt.Println(p.Environ([]string{"PATH=/usr/bin", "TOKEN=secret"}))

	_, err = policy.Decode(map[string]any{"fs_readable": "/usr"})
	fmt.Println(err)
	// Output:
	// [/usr /etc] [work]
	// [PATH=/usr/bin]
	// fs_readable: "/usr" is a string where a list of strings is expected; write ["/usr"]
}
