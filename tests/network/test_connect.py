"""Addresses are judged by the supervisor, which makes the connection with what it has judged."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from pathlib import Path

import pytest

from sandlock import Handler, HandlerCtx, NotifAction
from tests.support.acts import Act, Back, act
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.sockets import AF_INET, STREAM, MakeServer, family_of, has_ipv6, port_of, rule, sockaddr, was_reached

AF_UNSPEC, AF_UNIX = bytes(16), b"\1\0/tmp/socket\0\0\0"
SOCK_NONBLOCK = int(socket.SOCK_NONBLOCK)

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="::1 cannot be bound: see net.ipv6.conf.lo.disable_ipv6")


def connect(acts: Path, *peers: bytes, **fields: list[str]) -> list[Act]:
    """Connect to each peer, with a socket of the family that the address has."""
    calls: list[tuple[object, ...]] = []
    for peer in peers:
        calls += [("socket", int.from_bytes(peer[:2], "little"), STREAM, 0), ("connect", Back(1), peer, len(peer))]
    return act(tool_sandbox([acts], **fields), acts, calls)[1::2]


def test_an_address_is_granted(acts: Path, loopback: str, make_server: MakeServer) -> None:
    granted, other_port = make_server(loopback), make_server(loopback)
    peers = [sockaddr(loopback, port_of(server)) for server in (granted, other_port)]
    done = connect(acts, *peers, net_allow=[rule(loopback, port_of(granted), "tcp://")])
    assert [a.error for a in done] == ["", "EACCES"]
    assert (was_reached(granted), was_reached(other_port)) == (True, False)


def test_another_address_is_not(acts: Path, make_server: MakeServer) -> None:
    granted = make_server("127.0.0.1")
    other = make_server("127.0.0.2", port_of(granted))
    peers = [sockaddr(host, port_of(granted)) for host in ("127.0.0.1", "127.0.0.2")]
    done = connect(acts, *peers, net_allow=[f"tcp://127.0.0.1:{port_of(granted)}"])
    assert [a.error for a in done] == ["", "EACCES"]
    assert (was_reached(granted), was_reached(other)) == (True, False)


def test_denied_wins(acts: Path, make_server: MakeServer) -> None:
    granted = make_server("127.0.0.1")
    denied = make_server("127.0.0.2", port_of(granted))
    peers = [sockaddr(host, port_of(granted)) for host in ("127.0.0.1", "127.0.0.2")]
    done = connect(acts, *peers, net_allow=["tcp://127.0.0.0/8:*"], net_deny=["127.0.0.2"])
    assert [a.error for a in done] == ["", "EACCES"]
    assert (was_reached(granted), was_reached(denied)) == (True, False)


@needs_ipv6
def test_an_ipv4_address_in_its_ipv6_form(acts: Path, make_server: MakeServer) -> None:
    granted = make_server("127.0.0.1")
    other = make_server("127.0.0.2", port_of(granted))
    peers = [sockaddr(f"::ffff:{host}", port_of(granted)) for host in ("127.0.0.1", "127.0.0.2")]
    done = connect(acts, *peers, net_allow=[f"tcp://127.0.0.1:{port_of(granted)}"])
    assert [a.error for a in done] == ["", "EACCES"]
    assert (was_reached(granted), was_reached(other)) == (True, False)


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=needs_ipv6)])
def test_the_unspecified_address_is_this_machine(acts: Path, make_server: MakeServer, host: str) -> None:
    loopback = "::1" if host == "::" else "127.0.0.1"
    server = make_server(loopback)
    port = port_of(server)
    assert connect(acts, sockaddr(host, port), net_allow=[rule(loopback, port, "tcp://")])[0].error == ""
    assert was_reached(server)
    assert connect(acts, sockaddr(host, port), net_allow=[f"tcp://192.0.2.1:{port}"])[0].error == "EACCES"
    assert not was_reached(server)


def test_errors_are_the_kernels(acts: Path, make_server: MakeServer) -> None:
    """The same calls with rules that are Landlock's get the same errors."""
    server = make_server("127.0.0.1")
    name = sockaddr("127.0.0.1", port_of(server))
    calls = [
        ("socket", AF_INET, STREAM, 0),
        ("connect", Back(1), name, 8),
        ("connect", Back(2), name, 1 << 20),
        ("connect", Back(3), name, -1),
        ("connect", Back(4), 8, len(name)),
        ("connect", Back(5), AF_UNIX, len(AF_UNIX)),
        ("connect", 77, name, len(name)),
        ("connect", 0, name, len(name)),
        ("connect", Back(8), name, len(name)),
        ("connect", Back(9), name, len(name)),  # is connected
        ("connect", Back(10), AF_UNSPEC, len(AF_UNSPEC)),  # dissolves that
        ("connect", Back(11), name, len(name)),
    ]
    errors = []
    for entry in ("tcp://*:*", "tcp://127.0.0.0/8:*"):
        done = act(tool_sandbox([acts], net_allow=[entry]), acts, calls)
        errors.append([a.error for a in done])
        assert was_reached(server)
        assert was_reached(server)
    assert errors[0] == errors[1]
    assert errors[0][8:] == ["", "EISCONN", "", ""]


def test_a_refused_connection(acts: Path, make_server: MakeServer) -> None:
    server = make_server("127.0.0.1")
    name = sockaddr("127.0.0.1", port_of(server))
    server.close()
    assert connect(acts, name, net_allow=["tcp://127.0.0.1:*"])[0].error == "ECONNREFUSED"


def test_a_non_blocking_socket(acts: Path, loopback: str, make_server: MakeServer) -> None:
    server = make_server(loopback)
    name = sockaddr(loopback, port_of(server))
    no_events = struct.pack("=ihh", 0, 0, 0)
    calls = [
        ("socket", family_of(loopback), STREAM | SOCK_NONBLOCK, 0),
        ("connect", Back(1), name, len(name)),
        ("ppoll", no_events, 0, struct.pack("=qq", 0, 1), 0, 8),
        ("getsockopt", Back(3), 1, 4, bytes(4), struct.pack("=i", 4)),
        ("connect", Back(4), name, len(name)),
    ]
    done = act(tool_sandbox([acts], net_allow=[rule(loopback, "*", "tcp://")]), acts, calls)
    assert [a.error for a in done] == ["", "EINPROGRESS", "", "", ""]
    assert was_reached(server)


@pytest.mark.parametrize("duplicate", ["dup", "inherited"])
def test_whosever_socket_it_is(acts: Path, make_server: MakeServer, duplicate: str) -> None:
    granted = make_server("127.0.0.1")
    other = make_server("127.0.0.2", port_of(granted))
    good, bad = (sockaddr(host, port_of(granted)) for host in ("127.0.0.1", "127.0.0.2"))
    box = tool_sandbox([acts], net_allow=[f"tcp://127.0.0.1:{port_of(granted)}"])
    with socket.socket() as inherited:
        source = 0 if duplicate == "inherited" else Back(1)
        calls = [
            ("socket", AF_INET, STREAM, 0),
            ("dup", source),
            ("connect", Back(1), bad, len(bad)),
            ("connect", Back(2), good, len(good)),
        ]
        done = act(box, acts, calls, stdin=inherited)
    assert [a.error for a in done] == ["", "", "EACCES", ""]
    assert (was_reached(granted), was_reached(other)) == (True, False)


def test_memory_that_changes_after_the_check(program: Program, make_server: MakeServer) -> None:
    turncoat = program("turncoat")
    granted = make_server("127.0.0.1")
    granted.setblocking(True)
    other = make_server("127.0.0.2", port_of(granted))
    box = tool_sandbox([turncoat], net_allow=[f"tcp://127.0.0.1:{port_of(granted)}"])

    def accept() -> None:
        with contextlib.suppress(OSError):  # shut down
            while True:
                granted.accept()[0].close()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        result = box.run([turncoat, "connect", "3000", str(port_of(granted))], timeout=60)
    finally:
        granted.shutdown(socket.SHUT_RDWR)
        accepting.join()
    assert result.success, result
    succeeded, failed = map(int, result.stdout.split())
    assert min(succeeded, failed) > 0, "the address did not change often enough to show anything"
    assert not was_reached(other)


class Answers(Handler):
    """Answers always the same, and counts."""

    def __init__(self, action: NotifAction) -> None:
        self.action = action
        self.asked = 0

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.asked += 1
        return self.action


def test_handlers_cannot_grant_more(acts: Path, make_server: MakeServer) -> None:
    """What they let through is performed, and what is denied they are not asked about."""
    granted = make_server("127.0.0.1")
    other = make_server("127.0.0.2", port_of(granted))
    calls = []
    for host in ("127.0.0.1", "127.0.0.2"):
        name = sockaddr(host, port_of(granted))
        calls += [("socket", AF_INET, STREAM, 0), ("connect", Back(1), name, len(name))]
    box = tool_sandbox([acts], net_allow=[f"tcp://127.0.0.1:{port_of(granted)}"])
    first, second = Answers(NotifAction.continue_()), Answers(NotifAction.continue_())
    done = act(box, acts, calls, handlers=[("connect", first), ("connect", second)])
    assert [a.error for a in done[1::2]] == ["", "EACCES"]
    assert (first.asked, second.asked) == (1, 1)
    assert (was_reached(granted), was_reached(other)) == (True, False)
    done = act(box, acts, calls, handlers=[("connect", first), ("connect", Answers(NotifAction.errno(107)))])
    assert [a.error for a in done[1::2]] == ["ENOTCONN", "EACCES"]
    assert not was_reached(granted)


def test_what_a_handler_places_first(acts: Path, make_server: MakeServer) -> None:
    """A descriptor is placed under the number that the call names, and the call is performed with it."""
    server = make_server("127.0.0.1")
    name = sockaddr("127.0.0.1", port_of(server))
    with socket.socket() as ours:

        class Place(Handler):
            def handle(self, ctx: HandlerCtx) -> NotifAction:
                return NotifAction.inject_fd(os.dup(ours.fileno()), 99)

        box = tool_sandbox([acts], net_allow=["tcp://127.0.0.1:*"])
        done = act(box, acts, [("connect", 99, name, len(name))], handlers=[("connect", Place())])
        assert ([a.error for a in done], was_reached(server)) == ([""], True)
        assert ours.getpeername() == server.getsockname()


def test_the_handler_alone_is_not_asked_by_others(acts: Path, make_server: MakeServer) -> None:
    """Handlers for other calls and the performer share one supervisor."""
    server = make_server("127.0.0.1")
    name = sockaddr("127.0.0.1", port_of(server))
    sessions = Answers(NotifAction.returns(77))
    calls = [("getsid", 0), ("socket", AF_INET, STREAM, 0), ("connect", Back(1), name, len(name)), ("getsid", 0)]
    done = act(tool_sandbox([acts], net_allow=["tcp://127.0.0.1:*"]), acts, calls, handlers=[("getsid", sessions)])
    assert [a.error for a in done] == ["", "", "", ""]
    assert (done[0].result, done[3].result, was_reached(server)) == (77, 77, True)
