package launch

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// However many processes end, the reaper takes orders, and ends the tree when the command is killed.
func TestStormOfExits(t *testing.T) {
	compiler := compiler(t)
	storm := filepath.Join(t.TempDir(), "storm")
	args := append(compiler[1:], "-O1", "-Wall", "-Wextra", "-Werror", "testdata/storm.c", "-o", storm)
	if out, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	bothWays(t, func(t *testing.T, spec Spec) {
		if os.Geteuid() == 0 { // to become a user whose processes can be limited
			spec.Capabilities[0].Permitted, spec.Capabilities[0].Effective = 1<<unix.CAP_SETUID, 1<<unix.CAP_SETUID
		}
		p := start(t, spec, storm, "40")
		if line, err := bufio.NewReader(p.output).ReadString('\n'); line != "storm\n" {
			t.Fatalf("%q, %v", line, err)
		}
		begin := time.Now()
		if err := p.SignalGroup(unix.SIGCONT); err != nil {
			t.Error(err)
		}
		if err := p.Signal(unix.SIGKILL); err != nil {
			t.Error(err)
		}
		if _, status := p.finish(t); status != (Status{Signal: unix.SIGKILL}) {
			t.Errorf("%+v", status)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("gone after %v, as the storm", took)
		}
	})
}
