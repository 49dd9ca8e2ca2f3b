"""No network is granted: no socket that leads out can be made."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tests.support.call import Attempt, call
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK = 1, 2, 10, 16, 17, 40
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (AF_INET, STREAM),
        (AF_INET, DGRAM),
        (AF_INET, RAW),
        (AF_INET6, STREAM),
        (AF_INET6, DGRAM),
        (AF_NETLINK, RAW),
        (AF_PACKET, RAW),
        (AF_VSOCK, STREAM),
        (AF_UNIX, DGRAM),
        (AF_INET, STREAM | os.O_CLOEXEC | os.O_NONBLOCK),
    ],
)
def test_socket(attempt: Attempt, family: int, kind: int) -> None:
    assert attempt("socket", family, kind, 0).error == "EACCES"


def test_numbers_with_more_than_32_bits(attempt: Attempt) -> None:
    """The kernel looks at 32 bits of each argument; so must the filter."""
    assert attempt("socket", AF_INET + (1 << 32), STREAM, 0).error == "EACCES"
    assert attempt("socket", AF_INET, STREAM + (1 << 32), 0).error == "EACCES"
    assert attempt("socket", AF_UNIX, DGRAM + (1 << 32), 0).error == "EACCES"


@pytest.mark.parametrize("kind", [STREAM, SEQPACKET])
def test_unix_sockets_between_its_own_processes(attempt: Attempt, kind: int) -> None:
    assert attempt("socketpair", AF_UNIX, kind, 0, bytes(8)).error == ""


@pytest.mark.parametrize("kind", [DGRAM, DGRAM | os.O_CLOEXEC, DGRAM + (1 << 32), RAW])
def test_datagram_pairs_send_to_any_address(attempt: Attempt, kind: int) -> None:
    """Although they are connected to each other: so there are none."""
    assert attempt("socketpair", AF_UNIX, kind, 0, bytes(8)).error == "EACCES"


def test_connecting(program: Program, tmp_path: Path) -> None:
    """To a server of the host that is there and granted, by path and by abstract name."""
    caller = program("call")
    box = tool_sandbox([caller], [tmp_path])
    for address in (os.fsencode(tmp_path) + b"/socket", b"\0sandlock-test-%d" % os.getpid()):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(address)
            server.listen()
            name = AF_UNIX.to_bytes(2, "little") + address + b"\0"
            # Descriptor 0 is no socket: what the filter lets through gets ENOTSOCK.
            assert call(box, caller, "connect", 0, name, len(name)).error == "EACCES"
            assert call(box, caller, "bind", 0, name, len(name)).error == "EACCES"


def test_programs_are_told() -> None:
    script = "import socket; socket.create_connection(('127.0.0.1', 1))"
    result = tool_sandbox(PYTHON_PATHS).run([sys.executable, "-Ic", script])
    assert b"PermissionError" in result.stderr
