"""Ports alone are Landlock's: nothing is trapped, and nothing leads past them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from sandlock import PolicyError, Sandbox
from tests.support.acts import Back, act
from tests.support.sandboxes import tool_sandbox
from tests.support.sockets import AF_INET, AF_INET6, DGRAM, STREAM, MakeServer, family_of, sockaddr, was_reached

AF_UNIX, AF_NETLINK, AF_PACKET, AF_VSOCK = 1, 16, 17, 40
RAW, SEQPACKET, TCP_ONLY = 3, 5, ["tcp://*:9"]
IPPROTO_MPTCP, MSG_FASTOPEN = 262, 0x20000000
SOL_TCP, TCP_NODELAY, TCP_ULP = 6, 1, 31
SOL_IP, SOL_IPV6, IP_OPTIONS, IPV6_RTHDR, IP_TTL, SO_REUSEPORT = 0, 41, 4, 57, 2, 15


def test_connecting(acts: Path, loopback: str, make_server: MakeServer) -> None:
    granted, other = make_server(loopback), make_server(loopback)
    port = granted.getsockname()[1]
    box = tool_sandbox([acts], net_allow=[f"tcp://*:{port}"])
    calls = []
    for server in (granted, other):
        name = sockaddr(loopback, server.getsockname()[1])
        calls += [("socket", family_of(loopback), STREAM, 0), ("connect", Back(1), name, len(name))]
    done = act(box, acts, calls)
    assert [a.error for a in done] == ["", "", "", "EACCES"]
    assert (was_reached(granted), was_reached(other)) == (True, False)


def test_ipv4_in_ipv6_form(acts: Path, make_server: MakeServer) -> None:
    """A dual-stack socket reaches IPv4 peers, by the same rule."""
    granted, other = make_server("127.0.0.1"), make_server("127.0.0.1")
    box = tool_sandbox([acts], net_allow=[f"tcp://*:{granted.getsockname()[1]}"])
    calls = []
    for server in (granted, other):
        name = sockaddr("::ffff:127.0.0.1", server.getsockname()[1])
        calls += [("socket", AF_INET6, STREAM, 0), ("connect", Back(1), name, len(name))]
    done = act(box, acts, calls)
    if done[0].error == "EAFNOSUPPORT":
        pytest.skip("the kernel has no IPv6")
    assert [a.error for a in done] == ["", "", "", "EACCES"]
    assert (was_reached(granted), was_reached(other)) == (True, False)


@pytest.mark.parametrize(
    ("family", "kind", "protocol"),
    [
        (AF_INET, DGRAM, 0),
        (AF_INET6, DGRAM, 17),
        (AF_INET, DGRAM, 1),
        (AF_INET6, DGRAM, 58),
        (AF_INET, RAW, 1),
        (AF_INET, STREAM, IPPROTO_MPTCP),
        (AF_INET, SEQPACKET, 132),
        (AF_NETLINK, RAW, 0),
        (AF_PACKET, RAW, 0),
        (AF_VSOCK, STREAM, 0),
        (AF_UNIX, STREAM, 0),
        (AF_UNIX, DGRAM, 0),
        (AF_INET + (1 << 32), DGRAM, 0),
    ],
)
def test_other_sockets(acts: Path, family: int, kind: int, protocol: int) -> None:
    """Who may use TCP may use TCP."""
    box = tool_sandbox([acts], net_allow=TCP_ONLY)
    assert [a.error for a in act(box, acts, [("socket", family, kind, protocol)])] == ["EACCES"]


def test_fast_open(acts: Path, make_server: MakeServer) -> None:
    """Sending with MSG_FASTOPEN connects, and Landlock does not see it."""
    server = make_server("127.0.0.1")
    name = sockaddr("127.0.0.1", server.getsockname()[1])
    calls = [("socket", AF_INET, STREAM, 0), ("sendto", Back(1), b"x", 1, MSG_FASTOPEN, name, len(name))]
    done = act(tool_sandbox([acts], net_allow=TCP_ONLY), acts, calls)
    assert [a.error for a in done] == ["", "ENOTSUP"]  # the same number as EOPNOTSUPP
    assert not was_reached(server)


def test_source_routes(acts: Path) -> None:
    # Without a filter everybody may set options that do nothing, and those of routes with CAP_NET_RAW.
    route, nothing = bytes([131, 7, 4, 127, 0, 0, 9, 0]), bytes([1, 1, 1, 0])
    calls = [
        ("socket", AF_INET, STREAM, 0),
        ("setsockopt", Back(1), SOL_IP, IP_OPTIONS, route, len(route)),
        ("setsockopt", Back(2), SOL_IP, IP_OPTIONS, nothing, len(nothing)),
        ("setsockopt", Back(3), SOL_IPV6, IPV6_RTHDR, route, len(route)),
        ("setsockopt", Back(4), SOL_IP, IP_TTL, b"\x20\0\0\0", 4),
    ]
    done = act(tool_sandbox([acts], net_allow=TCP_ONLY), acts, calls)
    assert [a.error for a in done] == ["", "EPERM", "EPERM", "EPERM", ""]


def test_upper_layers(acts: Path) -> None:
    """That of SMC would put another socket in the place of the one that Landlock knows."""
    calls = [
        ("socket", AF_INET, STREAM, 0),
        ("setsockopt", Back(1), SOL_TCP, TCP_ULP, b"none", 4),
        ("setsockopt", Back(2), SOL_TCP, TCP_NODELAY, b"\1\0\0\0", 4),
    ]
    done = act(tool_sandbox([acts], net_allow=TCP_ONLY), acts, calls)
    assert [a.error for a in done] == ["", "EPERM", ""]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_binding(acts: Path, host: str) -> None:
    port, other = free_port(), free_port()
    box = tool_sandbox([acts], net_allow_bind=[0, port])
    calls = []
    for number in (port, 0, other):
        name = sockaddr(host, number)
        calls += [
            ("socket", AF_INET, STREAM, 0),
            ("setsockopt", Back(1), 1, SO_REUSEPORT, b"\1\0\0\0", 4),
            ("bind", Back(2), name, len(name)),
        ]
    done = act(box, acts, [*calls, ("listen", Back(6), 1)])
    assert [a.error for a in done[2::3]] == ["", "", "EACCES"]
    assert done[-1].error == ""


def test_ports_to_bind_lead_nowhere(acts: Path, make_server: MakeServer) -> None:
    server = make_server("127.0.0.1")
    name = sockaddr("127.0.0.1", server.getsockname()[1])
    calls = [("socket", AF_INET, STREAM, 0), ("connect", Back(1), name, len(name))]
    done = act(tool_sandbox([acts], net_allow_bind=["*"]), acts, calls)
    assert [a.error for a in done] == ["", "EACCES"]
    assert not was_reached(server)


def test_listening_without_a_bind(acts: Path) -> None:
    """The kernel picks a port then, which is what binding port 0 is."""
    calls = [("socket", AF_INET, STREAM, 0), ("listen", Back(1), 1)]
    for fields, error in (({"net_allow": TCP_ONLY}, "EACCES"), ({"net_allow_bind": [0]}, "")):
        assert act(tool_sandbox([acts], **fields), acts, calls)[1].error == error


def test_io_uring_stays_denied(acts: Path) -> None:
    box = tool_sandbox([acts], net_allow=["tcp://*:*"], net_allow_bind=["*"])
    assert [a.error for a in act(box, acts, [("io_uring_setup", 1, bytes(120))])] == ["EPERM"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("net_allow", ["example.com"], '"example.com" has no port; write "example.com:443"'),
        ("net_deny", ["example.com"], "host name"),
        ("net_allow_bind", ["http"], '"http"'),
        ("net_allow_bind", [-1], '"-1"'),
        ("net_allow_bind", [True], "True"),
        ("net_allow_bind", 80, r"write \[80\]"),
        ("net_deny_bind", "80", r"write \['80'\]"),
        ("net_allow", "*:80", r"write \['\*:80'\]"),
    ],
)
def test_wrong_rules(field: str, value: object, words: str) -> None:
    with pytest.raises(PolicyError, match=f"(?s){field}.*{words}"):
        Sandbox(**{field: value}).run(["true"])  # type: ignore[arg-type]
