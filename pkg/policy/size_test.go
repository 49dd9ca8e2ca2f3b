package policy

import (
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "1": 1, "007": 7, "4096": 4096, "1K": 1 << 10, "512M": 512 << 20, "512m": 512 << 20, "2G": 2 << 30, "3T": 3 << 40,
		"9223372036854775807": 1<<63 - 1, "8388607T": 8388607 << 40,
	} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	const syntax, much = "is no size", "is more than any machine has"
	for text, want := range map[string]string{
		"": syntax, "M": syntax, "-1": syntax, "+1": syntax, "1.5G": syntax, "512MB": syntax, "512MiB": syntax, " 1M": syntax, "1 M": syntax,
		"0x10": syntax, "1e9": syntax, "1_000": syntax, "\xffK": syntax, "٣M": syntax, "1P": syntax,
		"9223372036854775808": much, "8388608T": much, strings.Repeat("9", 100) + "K": much,
	} {
		if got, err := ParseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSize(%q) = %d, %v; want an error that says %q", text, got, err, want)
		}
	}
}

// FuzzParseSize states that what is a size stays one when it is written out.
func FuzzParseSize(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseSize(text)
		if err != nil {
			_ = err.Error()
			return
		}
		if digits := strings.TrimRight(text, "KMGTkmgt"); len(digits) < len(text)-1 || size > 1<<63-1 {
			t.Errorf("ParseSize(%q) = %d", text, size)
		}
	})
}
