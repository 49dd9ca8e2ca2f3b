"""Ports to bind that the kernel cannot tell alone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.acts import Back, act
from tests.support.processes import open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.sockets import AF_INET, DGRAM, STREAM, family_of, has_ipv6, sockaddr

MANY = ["1024-65535"]
"""More ports than Landlock takes, without the kernel's choice."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_many_ports(acts: Path, host: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("::1 cannot be bound: see net.ipv6.conf.lo.disable_ipv6")
    port, other = free_port(), free_port()
    box = tool_sandbox([acts], net_allow_bind=MANY, net_deny_bind=[other])
    calls = []
    for number in (port, other, 0):
        name = sockaddr(host, number)
        calls += [("socket", family_of(host), STREAM, 0), ("bind", Back(1), name, len(name)), ("listen", Back(2), 1)]
    done = act(box, acts, calls)
    assert [a.error for a in done] == ["", "", "", "", "EACCES", "EACCES", "", "EACCES", "EACCES"]


def test_memory_that_changes_after_the_check(program: Program) -> None:
    """The program itself looks at which port it has got."""
    turncoat = program("turncoat")
    port = free_port()
    box = tool_sandbox([turncoat], net_allow_bind=MANY, net_deny_bind=[port + 1])
    result = box.run([turncoat, "bind", "3000", str(port)], timeout=60)
    assert result.success, result
    succeeded, failed = map(int, result.stdout.split())
    assert min(succeeded, failed) > 0, "the port did not change often enough to show anything"


def test_every_address_is_bound(acts: Path) -> None:
    """0.0.0.0 is every address of this machine there, and not loopback."""
    port = free_port()
    name = sockaddr("0.0.0.0", port)
    calls = [
        ("socket", AF_INET, STREAM, 0),
        ("bind", Back(1), name, len(name)),
        ("getsockname", Back(2), bytes(16), b"\x10\0\0\0"),
    ]
    for ports in (["*"], MANY):
        assert [a.error for a in act(tool_sandbox([acts], net_allow_bind=ports), acts, calls)] == ["", "", ""]


@pytest.mark.parametrize("family", [0, 1, 16])
def test_other_families(acts: Path, family: int) -> None:
    """AF_UNSPEC stands for IPv4 there, see ip(7) and inet_bind of the kernel."""
    name = family.to_bytes(2, "little") + sockaddr("0.0.0.0", free_port())[2:]
    calls = [("socket", AF_INET, STREAM, 0), ("bind", Back(1), name, len(name)), ("bind", Back(2), name, 8)]
    error = {0: "", 1: "EACCES", 16: "EAFNOSUPPORT"}[family]
    done = act(tool_sandbox([acts], net_allow_bind=MANY), acts, calls)
    assert [a.error for a in done[1:]] == [error, {0: "EINVAL"}.get(family, error)]


def test_ports_of_udp(acts: Path) -> None:
    """The kernel's choice is what a sender gets anyway; other ports must be granted."""
    port = free_port()
    box = tool_sandbox([acts], net_allow=["udp://127.0.0.1:53"], net_allow_bind=[port])
    calls = []
    for number in (0, port, port ^ 1):
        name = sockaddr("127.0.0.1", number)
        calls += [("socket", AF_INET, DGRAM, 0), ("bind", Back(1), name, len(name))]
    assert [a.error for a in act(box, acts, calls)[1::2]] == ["", "", "EACCES"]


def test_low_ports_are_a_privilege(acts: Path) -> None:
    """The port is bound with the credentials that the caller has then, see ip(7)."""
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first < 2:
        pytest.skip("every port is unprivileged here, see net.ipv4.ip_unprivileged_port_start")
    name = sockaddr("127.0.0.1", first - 1)
    bind = [("socket", AF_INET, STREAM, 0), ("bind", Back(1), name, len(name)), ("close", Back(2))]
    calls = [*bind, ("setresuid", 65534, 65534, 65534), *bind]
    for ports in ([f"900-{first - 1}"], ["1-65535"]):  # Landlock's, and the supervisor's
        done = act(tool_sandbox([acts], net_allow_bind=ports), acts, calls)
        assert [done[1].error, done[5].error] == ["" if os.geteuid() == 0 else "EACCES", "EACCES"]


def test_listening(acts: Path) -> None:
    """Without a bind it is at a port of the kernel's choice, which must be granted."""
    calls = [("socket", AF_INET, STREAM, 0), ("listen", Back(1), 1)]
    for ports, error in (([80], "EACCES"), (["1-65535"], "EACCES"), (["0-65535"], ""), ([0, 80], "")):
        assert act(tool_sandbox([acts], net_allow_bind=ports), acts, calls)[1].error == error, ports


def test_listening_with_a_socket_of_the_host(acts: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        for ports, error in (([bound.getsockname()[1]], ""), ([1], "EACCES")):
            done = act(tool_sandbox([acts], net_allow_bind=ports), acts, [("listen", 0, 1)], stdin=bound)
            assert [a.error for a in done] == [error]


def test_nothing_is_left_open(acts: Path) -> None:
    name = sockaddr("127.0.0.1", 0)
    box = tool_sandbox([acts], net_allow_bind=MANY)
    calls = [("socket", AF_INET, STREAM, 0), ("bind", Back(1), name, len(name)), ("listen", Back(2), 1)]
    act(box, acts, calls)
    before = open_fds()
    act(box, acts, calls * 50)
    assert open_fds() == before
