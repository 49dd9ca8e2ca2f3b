"""Datagrams, each of which may have an address of its own."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from tests.support.acts import Act, Back, Buffer, act
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.sockets import (
    AF_INET,
    AF_INET6,
    DGRAM,
    STREAM,
    MakeServer,
    family_of,
    has_ipv6,
    port_of,
    received,
    rule,
    sockaddr,
)

AF_UNSPEC = bytes(16)
SOCK_NONBLOCK = int(socket.SOCK_NONBLOCK)

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="::1 cannot be bound: see net.ipv6.conf.lo.disable_ipv6")


def errors(done: list[Act]) -> list[str]:
    return [a.error for a in done]


def test_a_datagram_to_each(acts: Path, loopback: str, make_receiver: MakeServer) -> None:
    granted, other = make_receiver(loopback), make_receiver(loopback)
    calls: list[tuple[object, ...]] = [("socket", family_of(loopback), DGRAM, 0)]
    for back, receiver in enumerate((granted, other), 1):
        name = sockaddr(loopback, port_of(receiver))
        calls.append(("sendto", Back(back), b"hello", 5, 0, name, len(name)))
    done = act(tool_sandbox([acts], net_allow=[rule(loopback, port_of(granted))]), acts, calls)
    assert errors(done) == ["", "", "EACCES"]
    assert (done[1].result, received(granted), received(other)) == (5, [b"hello"], [])


def test_connected(acts: Path, loopback: str, make_receiver: MakeServer) -> None:
    """A connected socket sends to its peer, and to another only with an address that is granted."""
    granted, other = make_receiver(loopback), make_receiver(loopback)
    good, bad = (sockaddr(loopback, port_of(receiver)) for receiver in (granted, other))
    calls = [
        ("socket", family_of(loopback), DGRAM, 0),
        ("connect", Back(1), bad, len(bad)),
        ("connect", Back(2), good, len(good)),
        ("sendto", Back(3), b"a", 1, 0, 0, 0),
        ("write", Back(4), b"b", 1),
        ("sendto", Back(5), b"c", 1, 0, bad, len(bad)),
        ("sendto", Back(6), b"d", 1, 0, good, len(good)),
        ("connect", Back(7), AF_UNSPEC, len(AF_UNSPEC)),
        ("write", Back(8), b"e", 1),
    ]
    done = act(tool_sandbox([acts], net_allow=[rule(loopback, port_of(granted))]), acts, calls)
    assert errors(done) == ["", "EACCES", "", "", "", "EACCES", "", "", "EDESTADDRREQ"]
    assert (received(granted), received(other)) == ([b"a", b"b", b"d"], [])


def test_no_family_stands_for_ipv4(acts: Path, make_receiver: MakeServer) -> None:
    granted = make_receiver("127.0.0.1")
    other = make_receiver("127.0.0.2", port_of(granted))
    calls: list[tuple[object, ...]] = [("socket", AF_INET, DGRAM, 0)]
    for back, host in enumerate(("127.0.0.1", "127.0.0.2", "0.0.0.0"), 1):
        name = b"\0\0" + sockaddr(host, port_of(granted))[2:]
        calls.append(("sendto", Back(back), b"x", 1, 0, name, len(name)))
    done = act(tool_sandbox([acts], net_allow=[rule("127.0.0.1", port_of(granted))]), acts, calls)
    assert errors(done) == ["", "", "EACCES", ""]
    assert (received(granted), received(other)) == ([b"x", b"x"], [])


@needs_ipv6
def test_ipv6_sockets(acts: Path, make_receiver: MakeServer) -> None:
    """They send to IPv4 addresses in both forms; no family is no address there."""
    granted = make_receiver("127.0.0.1")
    other = make_receiver("127.0.0.2", port_of(granted))
    calls: list[tuple[object, ...]] = [("socket", AF_INET6, DGRAM, 0)]
    hosts = ("::ffff:127.0.0.1", "::ffff:127.0.0.2", "127.0.0.1", "127.0.0.2", "::ffff:0.0.0.0", "::")
    for back, host in enumerate(hosts, 1):
        name = sockaddr(host, port_of(granted))
        calls.append(("sendto", Back(back), b"x", 1, 0, name, len(name)))
    calls.append(("sendto", Back(len(hosts) + 1), b"x", 1, 0, AF_UNSPEC, len(AF_UNSPEC)))
    done = act(tool_sandbox([acts], net_allow=[rule("127.0.0.1", port_of(granted))]), acts, calls)
    assert errors(done) == ["", "", "EACCES", "", "EACCES", "", "EACCES", "EDESTADDRREQ"]
    assert (len(received(granted)), received(other)) == (3, [])


def test_errors_are_the_kernels(acts: Path, make_receiver: MakeServer) -> None:
    """The same calls under a rule that leaves them to the kernel get the same results."""
    receiver = make_receiver("127.0.0.1")
    name = sockaddr("127.0.0.1", port_of(receiver))
    calls = [
        ("socket", AF_INET, DGRAM, 0),
        ("sendto", Back(1), b"x", 1, 0, name, 8),
        ("sendto", Back(2), b"x", 1, 0, name, 200),
        ("sendto", Back(3), b"x", 1, 0, name, -1),
        ("sendto", Back(4), b"x", 1, 0, 8, len(name)),
        ("sendto", Back(5), 8, 1, 0, name, len(name)),
        ("sendto", Back(6), Buffer(66000), 66000, 0, name, len(name)),
        ("sendto", Back(7), 0, 0, 0, name, len(name)),
        ("sendto", 77, b"x", 1, 0, name, len(name)),
        ("sendto", 0, b"x", 1, 0, name, len(name)),
        ("sendto", Back(10), b"x", 1, 0x40, name, len(name)),
        ("sendmsg", Back(11), 8, 0),
        ("sendmmsg", Back(12), 8, 3, 0),
        ("sendmmsg", Back(13), 8, 0, 0),
        ("sendto", Back(14), b"x", 1, 0x20000000, name, len(name)),
    ]
    told = []
    for entry in ("udp://*:*", "udp://127.0.0.0/8:*"):
        done = act(tool_sandbox([acts], net_allow=[entry]), acts, calls)
        told.append([(a.result, a.error) for a in done])
        assert received(receiver) == [b"", b"x"]
    assert told[0] == told[1]


def test_large_datagrams(acts: Path, make_receiver: MakeServer) -> None:
    receiver = make_receiver("127.0.0.1")
    name = sockaddr("127.0.0.1", port_of(receiver))
    data = bytes(range(256)) * 60
    calls = [("socket", AF_INET, DGRAM, 0), ("sendto", Back(1), data, len(data), 0, name, len(name))]
    done = act(tool_sandbox([acts], net_allow=["udp://127.0.0.1:*"]), acts, calls)
    assert (done[1].result, received(receiver)) == (len(data), [data])


@pytest.mark.parametrize("how", ["sendto", "sendmsg", "sendmmsg", "header"])
def test_memory_that_changes_after_the_check(program: Program, make_receiver: MakeServer, how: str) -> None:
    turncoat = program("turncoat")
    granted = make_receiver("127.0.0.1")
    other = make_receiver("127.0.0.2", port_of(granted))
    box = tool_sandbox([turncoat], net_allow=[rule("127.0.0.1", port_of(granted))])
    result = box.run([turncoat, how, "3000", str(port_of(granted))], timeout=60)
    assert result.success, result
    succeeded, failed = map(int, result.stdout.split())
    assert min(succeeded, failed) > 0, "the address did not change often enough to show anything"
    assert received(granted)
    assert received(other) == []


def test_a_socket_that_changes_after_the_check(program: Program, make_receiver: MakeServer) -> None:
    """The rules of TCP do not hold for a UDP socket that takes the descriptor meanwhile."""
    turncoat = program("turncoat")
    other = make_receiver("127.0.0.1")
    box = tool_sandbox([turncoat], net_allow=[rule("127.0.0.1", "*", "tcp://"), rule("127.0.0.2", "*", "udp://")])
    result = box.run([turncoat, "socket", "3000", str(port_of(other))], timeout=60)
    assert result.stdout == b"0 3000\n"
    assert received(other) == []


def test_denied_wins(acts: Path, make_receiver: MakeServer) -> None:
    granted = make_receiver("127.0.0.1")
    denied = make_receiver("127.0.0.2", port_of(granted))
    calls: list[tuple[object, ...]] = [("socket", AF_INET, DGRAM, 0)]
    for back, host in enumerate(("127.0.0.1", "127.0.0.2"), 1):
        name = sockaddr(host, port_of(granted))
        calls.append(("sendto", Back(back), b"x", 1, 0, name, len(name)))
    done = act(tool_sandbox([acts], net_deny=["127.0.0.2"]), acts, calls)
    assert errors(done) == ["", "", "EACCES"]
    assert (received(granted), received(denied)) == ([b"x"], [])


def test_tcp_and_udp_apart(acts: Path, make_receiver: MakeServer) -> None:
    receiver = make_receiver("127.0.0.1")
    name = sockaddr("127.0.0.1", port_of(receiver))
    calls = [
        ("socket", AF_INET, DGRAM, 0),
        ("sendto", Back(1), b"x", 1, 0, name, len(name)),
        ("socket", AF_INET, STREAM, 0),
    ]
    box = tool_sandbox([acts], net_allow=["udp://127.0.0.2:*", "tcp://127.0.0.1:*"])
    assert errors(act(box, acts, calls)) == ["", "EACCES", ""]
    box = tool_sandbox([acts], net_allow=["udp://127.0.0.1:*"])
    assert errors(act(box, acts, calls)) == ["", "", "EACCES"]


class TestLooseSockets:
    """A socket of the host's that the command gets is judged by the same rules, whatever it is."""

    def test_a_datagram_socket_in_a_closed_network(self, acts: Path, make_receiver: MakeServer) -> None:
        other = make_receiver("127.0.0.1")
        name = sockaddr("127.0.0.1", port_of(other))
        message = struct.pack("=QIIQQQQi4x", 0, 0, 0, 0, 0, 0, 0, 0)
        with socket.socket(AF_INET, DGRAM) as inherited:
            calls = [
                ("sendto", 0, b"x", 1, 0, name, len(name)),
                ("connect", 0, name, len(name)),
                ("sendmsg", 0, message, 0),
            ]
            done = act(tool_sandbox([acts]), acts, calls, stdin=inherited)
        assert errors(done)[:2] == ["EACCES", "EACCES"]
        assert errors(done)[2] in ("EDESTADDRREQ", "EACCES")  # since Landlock knows UDP (ABI 10)
        assert received(other) == []

    def test_a_connected_one_sends_to_its_peer(self, acts: Path, make_receiver: MakeServer) -> None:
        peer = make_receiver("127.0.0.1")
        with socket.socket(AF_INET, DGRAM) as inherited:
            inherited.connect(peer.getsockname())
            assert errors(act(tool_sandbox([acts]), acts, [("write", 0, b"x", 1)], stdin=inherited)) == [""]
        assert received(peer) == [b"x"]

    def test_a_unix_datagram_socket(self, acts: Path, tmp_path: Path) -> None:
        path = str(tmp_path / "socket")
        name = b"\1\0" + path.encode() + b"\0"
        with socket.socket(socket.AF_UNIX, DGRAM) as server, socket.socket(socket.AF_UNIX, DGRAM) as inherited:
            server.bind(path)
            server.setblocking(False)
            for fields in ({}, {"net_allow": ["tcp://*:*"]}, {"net_allow": ["*:*"]}):
                calls = [("sendto", 0, b"x", 1, 0, name, len(name)), ("connect", 0, name, len(name))]
                done = act(tool_sandbox([acts], [tmp_path], **fields), acts, calls, stdin=inherited)
                assert errors(done) == ["EACCES", "EACCES"], fields
            assert received(server) == []

    def test_fast_open(self, acts: Path, make_server: MakeServer) -> None:
        server = make_server("127.0.0.1")
        name = sockaddr("127.0.0.1", port_of(server))
        with socket.socket() as inherited:
            calls = [("sendto", 0, b"x", 1, 0x20000000, name, len(name))]
            assert errors(act(tool_sandbox([acts]), acts, calls, stdin=inherited)) == ["ENOTSUP"]
        with pytest.raises(BlockingIOError):
            server.accept()
