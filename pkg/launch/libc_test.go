package launch

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compiler is the C compiler's words, or skips.
func compiler(t *testing.T) []string {
	t.Helper()
	words := strings.Fields(os.Getenv("CC"))
	if len(words) == 0 {
		words = []string{"gcc"}
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		t.Skipf("no C compiler: %v", err)
	}
	return words
}

// What runs between clone and execve shares the thread-local storage of a thread that may be gone, and must not bind a
// symbol: the compiler may have called memset and the like for it.
func TestChildCallsNothingOutside(t *testing.T) {
	compiler := compiler(t)
	for _, level := range []string{"-O0", "-O1", "-O2", "-Os"} {
		object := filepath.Join(t.TempDir(), "child.o")
		args := append(compiler[1:], level, "-Wall", "-Wextra", "-Werror", "-fno-stack-protector", "-c", "child.c", "-o", object)
		if out, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		file, err := elf.Open(object)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		symbols, err := file.Symbols()
		if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
			t.Fatal(err)
		}
		for _, symbol := range symbols {
			if symbol.Section == elf.SHN_UNDEF && symbol.Name != "" {
				t.Errorf("%s: child.c needs %s", level, symbol.Name)
			}
		}
	}
}
