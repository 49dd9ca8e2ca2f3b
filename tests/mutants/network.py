"""Sockets, addresses and ports."""

from __future__ import annotations

from tests.mutants.mutant import ESCAPES, Mutant

NETWORK = [
    Mutant(
        "only Unix sockets where the network is closed",
        "pkg/seccomp/network.go",
        "unix.AF_UNIX, loadType, yes)",
        "unix.AF_UNIX, loadType, no)",
        ESCAPES + "test_network.py::test_socket",
    ),
    Mutant(
        "an address is copied once",
        "pkg/netcall/connect.go",
        "func (o *connecting) try(c *call) (int64, error) {",
        "func (o *connecting) try(c *call) (int64, error) {\n\tc.read(o.to.raw, c.n.Args()[1])",
        "tests/network/test_connect.py::test_memory_that_changes_after_the_check",
    ),
    Mutant(
        "denied addresses win",
        "pkg/network/judge.go",
        " && !matches(j.deny, protocol, peer)",
        "",
        "tests/network/test_connect.py::test_denied_wins",
    ),
    Mutant(
        "TCP does not connect while it sends",
        "pkg/seccomp/network.go",
        "unix.MSG_FASTOPEN, yes, no)",
        "unix.MSG_FASTOPEN, no, no)",
        "tests/network/test_ports.py::test_fast_open",
    ),
    Mutant(
        "routes are not set",
        "pkg/seccomp/network.go",
        "unix.IP_OPTIONS, yes, no)",
        "unix.IP_OPTIONS, no, no)",
        "tests/network/test_ports.py::test_source_routes",
    ),
    Mutant(
        "sockets have no upper layers",
        "pkg/seccomp/network.go",
        "unix.TCP_ULP, yes, no)",
        "unix.TCP_ULP, no, no)",
        "tests/network/test_ports.py::test_upper_layers",
    ),
    Mutant(
        "pairs of datagram sockets are not made",
        "pkg/seccomp/network.go",
        '"socketpair": {Action: Allow, check: &foreignSocket}',
        '"socketpair": {Action: Allow}',
        ESCAPES + "test_network.py::test_datagram_pairs_send_to_any_address",
    ),
    Mutant(
        "nothing is connected where the network is closed",
        "pkg/seccomp/network.go",
        'calls.Closed():\n\t\treturn Verdict{Action: Errno(unix.EACCES), Reason: "no network is granted"}',
        "calls.Closed():\n\t\treturn Verdict{Action: Allow}",
        ESCAPES + "test_network.py::test_connecting",
    ),
    Mutant(
        "other protocols are not granted with TCP",
        "pkg/seccomp/network.go",
        "oneOf([]uint32{0, unix.IPPROTO_TCP})",
        "oneOf([]uint32{0, unix.IPPROTO_TCP, unix.IPPROTO_MPTCP})",
        "tests/network/test_ports.py::test_other_sockets",
    ),
    Mutant(
        "addresses of messages are judged",
        "pkg/seccomp/network.go",
        'rules["sendto"] = Verdict{Action: Notify, check: &noAddress}',
        'rules["sendto"] = Verdict{Action: Allow}',
        "tests/network/test_datagrams.py::test_a_datagram_to_each",
    ),
    Mutant(
        "each of many messages is judged",
        "pkg/seccomp/network.go",
        'rules["sendmmsg"] = Verdict{Action: Notify}',
        'rules["sendmmsg"] = Verdict{Action: Allow}',
        "tests/network/test_messages.py::test_many_messages_end_at_the_first_that_is_denied",
    ),
    Mutant(
        "IPv4 addresses are judged in both forms",
        "pkg/netcall/address.go",
        "netip.AddrPortFrom(ip.Unmap(), a.port())",
        "netip.AddrPortFrom(netip.AddrFrom16(ip.As16()), a.port())",
        "tests/network/test_connect.py::test_an_ipv4_address_in_its_ipv6_form",
    ),
    Mutant(
        "a port to bind is copied once",
        "pkg/netcall/bind.go",
        "\tvar errno unix.Errno\n\terr := c.deputy",
        "\tc.read(o.to, c.n.Args()[1])\n\tvar errno unix.Errno\n\terr := c.deputy",
        "tests/network/test_bind.py::test_memory_that_changes_after_the_check",
    ),
    Mutant(
        "what a function judged is what is used",
        "pkg/netcall/address.go",
        "if c.narrowing.Expects(",
        "if true || c.narrowing.Expects(",
        "tests/network/test_narrowing.py::test_a_second_thread_turns_the_address",
    ),
    Mutant(
        "control messages are let through by a list",
        "pkg/netcall/control.go",
        "\t\t\treturn nil, unix.EPERM",
        "\t\t\t_ = unix.EPERM",
        "tests/network/test_messages.py::test_control_messages",
    ),
    Mutant(
        "other ports are not bound",
        "pkg/network/judge.go",
        "\t\treturn j.bind.Has(port)\n\tcase policy.UDP",
        "\t\treturn true\n\tcase policy.UDP",
        "tests/network/test_bind.py::test_many_ports",
    ),
]
