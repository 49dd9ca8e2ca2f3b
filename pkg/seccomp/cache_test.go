package seccomp

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCacheGivesWhatCompileGives(t *testing.T) {
	var cache Cache
	dup3, err := Native().Number("dup3")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []Spec{
		{Arch: Native(), LaunchNonce: 1},
		{Arch: Native(), LaunchNonce: 2},
		{Arch: Native(), LaunchNonce: 3, Notify: []int{dup3}},
		{Arch: Native(), LaunchNonce: 4, Notify: []int{dup3}},
		{Arch: Native(), LaunchNonce: 5, ExtraDeny: []string{"futex"}},
		{Arch: Native(), LaunchNonce: 6, ExtraAllow: []string{"sysv_ipc"}},
	} {
		want, err := Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		got, err := cache.Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Program, got.Program); diff != "" {
			t.Errorf("%+v: %s", spec, diff)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	var cache Cache
	for number, name := range Native().Syscalls() {
		if _, err := cache.Compile(Spec{Arch: Native(), ExtraDeny: []string{name}}); err != nil {
			t.Fatalf("%d: %v", number, err)
		}
		if len(cache.filters) > maxCached {
			t.Fatalf("%d filters are kept", len(cache.filters))
		}
	}
}
