package sandbox_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"sandlock/pkg/sandbox"
)

func TestOutcome(t *testing.T) {
	died := func(signal unix.Signal, stdout string) *sandbox.Result {
		return &sandbox.Result{Reason: sandbox.Signaled, ExitCode: -1, Signal: signal, Stdout: []byte(stdout)}
	}
	for _, test := range []struct {
		name, script string
		want         *sandbox.Result
	}{
		{"success", "exit 0", exited(0, "")},
		{"failure", "exit 42", exited(42, "")},
		{"the highest code", "exit 255", exited(255, "")},
		{"the code of a command not found", "exit 127", exited(127, "")},
		{"both outputs", "echo out; echo err >&2", &sandbox.Result{Stdout: []byte("out\n"), Stderr: []byte("err\n")}},
		{"bytes", `printf 'a\0b\377c'`, exited(0, "a\x00b\xffc")},
		{"terminated", "echo last; kill -TERM $$", died(unix.SIGTERM, "last\n")},
		{"killed by itself", "kill -KILL $$", died(unix.SIGKILL, "")},
		{"aborted", "kill -ABRT $$", died(unix.SIGABRT, "")},
		{"a child terminated", "sh -c 'kill -TERM $$'; echo $?", exited(0, "143\n")},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := run(t, newSandbox(), shell(test.script))
			if test.name == "a child terminated" {
				got.Stderr = nil // some shells tell of it
			}
			expect(t, test.want, got)
		})
	}
}

func TestEnvironment(t *testing.T) {
	s := newSandbox()
	s.Policy.CleanEnv = true
	s.Policy.Env = map[string]string{"ADDED": "by the policy", "LANG": "overridden", "BYTES": "\xff=\x80"}
	c := command("env")
	c.Environ = []string{path, "LANG=C", "SECRET=x", "TERM=dumb"}
	expect(t, exited(0, "ADDED=by the policy\nBYTES=\xff=\x80\nLANG=overridden\n"+path+"\nTERM=dumb\n"), run(t, s, c))
}

func TestArgumentsAreBytes(t *testing.T) {
	expect(t, exited(0, "<><\xff\xfe><two words><--><\n>"), run(t, newSandbox(),
		command("printf", "<%s>", "", "\xff\xfe", "two words", "--", "\n")))
}

func TestSandboxRunsMany(t *testing.T) {
	s := newSandbox()
	for range 3 {
		expect(t, exited(0, "once more\n"), run(t, s, command("echo", "once more")))
	}
}

func TestWaitTwice(t *testing.T) {
	p := start(t, newSandbox(), shell("echo once; exit 3"))
	for range 2 {
		expect(t, exited(3, "once\n"), wait(t, p))
	}
	if !p.Serve(0) {
		t.Error("Serve says that the command runs")
	}
}

func TestReasons(t *testing.T) {
	for reason, want := range map[sandbox.Reason]string{
		sandbox.Exited: "exited", sandbox.Signaled: "signaled", sandbox.Killed: "killed", sandbox.TimedOut: "timed out",
	} {
		if reason.String() != want {
			t.Errorf("reason %d is called %v, want %s", int(reason), reason, want)
		}
	}
}
