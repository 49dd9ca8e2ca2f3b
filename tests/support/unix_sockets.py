"""Unix sockets with a path: their addresses as bytes, and where tests make them."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Protocol

from sandlock._request import StrPath
from tests.support.sockets import STREAM

AF_UNIX, SEQPACKET = int(socket.AF_UNIX), int(socket.SOCK_SEQPACKET)


class MakeUnixServer(Protocol):
    """Makes a socket at a path, which listens unless it is a datagram socket. Its own calls do not block."""

    def __call__(self, path: Path, kind: int = STREAM, backlog: int = 128) -> socket.socket: ...


def unix_name(path: StrPath) -> bytes:
    """Return the address of a path, with a NUL byte at its end."""
    return AF_UNIX.to_bytes(2, "little") + os.fsencode(path) + b"\0"


def unix_rule(path: str | Path) -> str:
    """Return the entry of a list of rules for a path."""
    return f"unix://{path}"
