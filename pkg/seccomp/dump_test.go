package seccomp_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sandlock/pkg/seccomp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestDefaultFilterDump(t *testing.T) {
	for _, a := range seccomp.Arches() {
		path := filepath.Join("testdata", fmt.Sprintf("default_%v.txt", a))
		got := compile(t, seccomp.Spec{Arch: a}).String()
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("the default filter of %v is not that of %s (-want +got)\n%s", a, path, diff)
		}
	}
}
