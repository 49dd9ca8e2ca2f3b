package landlock

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"sandlock/pkg/network"
	"sandlock/pkg/policy"
)

// unrestricted are the rights about the network that a ruleset leaves alone. A right for every port is not handled
// rather than granted 65,536 times. UDP is the supervisor's, down to the port 0 that sending without a bind needs.
func unrestricted(plan network.Plan) uint64 {
	var rights uint64
	if plan.ConnectTCP.Count() > math.MaxUint16 {
		rights |= unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if plan.BindTCP.Count() > math.MaxUint16 {
		rights |= unix.LANDLOCK_ACCESS_NET_BIND_TCP
	}
	if plan.Protocols&policy.UDP != 0 {
		rights |= unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP
	}
	return rights
}

// grantPorts adds the rules for TCP ports.
func grantPorts(ruleset int, plan network.Plan, handled uint64) error {
	for right, ports := range map[uint64]policy.Ports{
		unix.LANDLOCK_ACCESS_NET_CONNECT_TCP: plan.ConnectTCP,
		unix.LANDLOCK_ACCESS_NET_BIND_TCP:    plan.BindTCP,
	} {
		if handled&right == 0 {
			continue
		}
		for port := range ports.All {
			if err := addPortRule(ruleset, port, right); err != nil {
				return fmt.Errorf("grant TCP port %d: %w", port, err)
			}
		}
	}
	return nil
}
