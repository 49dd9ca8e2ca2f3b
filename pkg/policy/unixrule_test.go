package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnixRules(t *testing.T) {
	p := Policy{
		NetAllow: []string{"unix:///run/x.sock", "unix://.", "*:80", "unix://a folder//with/", "unix://./@name", "unix://\xff", "unix:80"},
		NetDeny:  []string{"unix:///run/docker.sock", "10.0.0.1"},
	}
	rules, err := p.Network()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/run/x.sock", ".", "a folder/with", "@name", "\xff"}, rules.UnixAllow); diff != "" {
		t.Errorf("allowed (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/run/docker.sock"}, rules.UnixDeny); diff != "" {
		t.Errorf("denied (-want +got)\n%s", diff)
	}
	if len(rules.Allow) != 2 || len(rules.Deny) != 1 {
		t.Errorf("the others: %+v", rules)
	}
}

func TestWrongUnixRules(t *testing.T) {
	expectRefused(t, "net_allow", func(text string) Policy { return Policy{NetAllow: []string{"*:80", text}} }, [][2]string{
		{"unix://", `"unix://" has no path; write unix:// and a path, as in "unix:///run/postgresql" or "unix://."`},
		{"unix:/run/x", `"unix:/run/x" has one slash behind unix:; write unix:// and a path, as in "unix:///run/postgresql" or "unix://."`},
		{"unix://@x", `"unix://@x" is about an abstract name, and those are never granted; have the server listen at a path; a file of this name is "unix://./@x"`},
		{"unix://a\x00b", `"unix://a\x00b" contains a NUL byte; the kernel ends every string at a NUL byte: take it out`},
		{"UNIX:///run", `"UNIX:///run" has an unknown protocol "UNIX"; did you mean unix://?`},
		{"unx:///run", `"unx:///run" has an unknown protocol "unx"; did you mean unix://?`},
	})
	expectRefused(t, "net_deny", func(text string) Policy { return Policy{NetDeny: []string{text}} }, [][2]string{
		{"unix://", `"unix://" has no path; write unix:// and a path, as in "unix:///run/postgresql" or "unix://."`},
	})
}

// A profile's ${NAME} in the path of a rule must be known, as in every path.
func TestVariablesInUnixRules(t *testing.T) {
	variables := map[string]string{"HOME": "/home/user"}
	for text, want := range map[string]string{
		"unix://${HOME}/s": "unix:///home/user/s",
		"${HOME}:80":       "/home/user:80",
		"${OTHER}:80":      "${OTHER}:80",
	} {
		if got, err := expanded("net_allow", text, variables); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"unix://${OTHER}/s", "unix://~/s"} {
		if got, err := expanded("net_deny", text, variables); err == nil {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got, err := expanded("env", "unix://${OTHER}", variables); err != nil || got != "unix://${OTHER}" {
		t.Errorf("what is no rule: %v, %v", got, err)
	}
}

// FuzzUnixRule: every text is a rule about a path, is an error that can be shown, or is about something else.
func FuzzUnixRule(f *testing.F) {
	for _, text := range []string{"unix:///run/x", "unix://.", "unix://", "unix:/x", "unix://@x", "unix://\x00", "unix:80", "tcp://*:80"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		path, ok, err := parseUnixRule(text)
		switch {
		case err != nil && (err.Problem == "" || err.Hint == ""):
			t.Errorf("%q: %v", text, err)
		case err == nil && ok != (path != "") || path != "" && path != tidy(path):
			t.Errorf("%q is a rule about %q: %t", text, path, ok)
		}
	})
}
