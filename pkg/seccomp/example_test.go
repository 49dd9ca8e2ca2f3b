package seccomp_test

import (
	"fmt"

	"sandlock/pkg/seccomp"
)

func ExampleCompile() {
	openat, err := seccomp.AMD64.Number("openat")
	if err != nil {
		fmt.Println(err)
		return
	}
	filter, err := seccomp.Compile(seccomp.Spec{Arch: seccomp.AMD64, Notify: []int{openat}})
	if err != nil {
		fmt.Println(err)
		return
	}
	mount, _ := seccomp.AMD64.Number("mount")
	fmt.Println("openat:", filter.Verdict(openat))
	fmt.Println("mount:", filter.Verdict(mount))

	_, err = seccomp.Compile(seccomp.Spec{Arch: seccomp.AMD64, Notify: []int{mount}})
	fmt.Println(err)
	// Output:
	// openat: notify
	// mount: EPERM (default deny list, mounts)
	// syscall mount cannot be handled, the filter denies it: EPERM (default deny list, mounts)
}
