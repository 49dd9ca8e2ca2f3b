package sandbox_test

import (
	"fmt"
	"net"
	"os/exec"
	"testing"

	"sandlock/pkg/sandbox"
)

// dial is a shell that connects to addresses and says what came of each.
func dial(t *testing.T, addresses ...string) sandbox.Command {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash, whose /dev/tcp connects")
	}
	script := ""
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		script += fmt.Sprintf("(exec 3<>/dev/tcp/%s/%s) 2>&- && echo yes || echo no\n", host, port)
	}
	return command(bash, "-c", script)
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	server, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func TestPeers(t *testing.T) {
	granted := listen(t, "127.0.0.1:0").Addr().String()
	_, port, _ := net.SplitHostPort(granted)
	other := listen(t, "127.0.0.2:"+port).Addr().String()
	for name, test := range map[string]struct {
		allow, deny []string
		want        string
	}{
		"none":      {nil, nil, "no\nno\nno\n"},
		"a port":    {[]string{"tcp://*:" + port}, nil, "yes\nyes\nyes\n"},
		"a network": {[]string{"127.0.0.0/8:" + port}, nil, "yes\nyes\nyes\n"},
		"one":       {[]string{granted}, nil, "yes\nno\nyes\n"},
		"a name":    {[]string{"localhost:" + port}, nil, "yes\nno\nyes\n"},
		"all but":   {nil, []string{"127.0.0.1", "[::1]"}, "no\nyes\nno\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSandbox()
			s.Policy.NetAllow, s.Policy.NetDeny = test.allow, test.deny
			result := run(t, s, dial(t, granted, other, "localhost:"+port))
			if string(result.Stdout) != test.want {
				t.Errorf("%q, want %q; %s", result.Stdout, test.want, result.Stderr)
			}
		})
	}
}
