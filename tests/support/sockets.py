"""Addresses of sockets, as bytes, and what servers have seen."""

from __future__ import annotations

import socket
import struct
from typing import Protocol

AF_INET, AF_INET6 = int(socket.AF_INET), int(socket.AF_INET6)
STREAM, DGRAM = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)


class MakeServer(Protocol):
    """Makes a server at an address of this machine, whose own calls do not block."""

    def __call__(self, host: str, port: int = 0, backlog: int = 128) -> socket.socket: ...


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def family_of(host: str) -> int:
    return AF_INET6 if ":" in host else AF_INET


def sockaddr(host: str, port: int) -> bytes:
    """Return a struct sockaddr_in or sockaddr_in6."""
    if ":" in host:
        address = struct.pack("=I16sI", 0, socket.inet_pton(AF_INET6, host), 0)
        return struct.pack("=H", AF_INET6) + struct.pack("!H", port) + address
    return struct.pack("=H", AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def rule(host: str, port: int | str, scheme: str = "") -> str:
    """Return an entry of net_allow about an address."""
    return f"{scheme}[{host}]:{port}" if ":" in host else f"{scheme}{host}:{port}"


def received(receiver: socket.socket) -> list[bytes]:
    """Return the datagrams that are there."""
    datagrams = []
    try:
        while True:
            datagrams.append(receiver.recv(1 << 17))
    except BlockingIOError:
        return datagrams


def was_reached(server: socket.socket) -> bool:
    """Say whether a connection is there, and take it."""
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True
