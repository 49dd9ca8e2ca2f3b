"""Servers on the loopback range, and a program that makes system calls."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import Program
from tests.support.sockets import DGRAM, STREAM, MakeServer, family_of, has_ipv6
from tests.support.unix_sockets import AF_UNIX, MakeUnixServer


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


@pytest.fixture(params=["127.0.0.1", "::1"])
def loopback(request: pytest.FixtureRequest) -> str:
    """An address of this machine, of both kinds."""
    if request.param == "::1" and not has_ipv6():
        pytest.skip("::1 cannot be bound: see /proc/sys/net/ipv6/conf/lo/disable_ipv6")
    return str(request.param)


@pytest.fixture
def make_receiver() -> Iterator[MakeServer]:
    """Make UDP sockets that are bound to an address, at a port that the kernel picks unless one is given."""
    receivers: list[socket.socket] = []

    def make(host: str, port: int = 0, backlog: int = 0) -> socket.socket:
        receivers.append(socket.socket(family_of(host), DGRAM))
        receivers[-1].bind((host, port))
        receivers[-1].setblocking(False)
        return receivers[-1]

    yield make
    for receiver in receivers:
        receiver.close()


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Make TCP servers that listen at an address, at a port that the kernel picks unless one is given."""
    servers: list[socket.socket] = []

    def make(host: str, port: int = 0, backlog: int = 128) -> socket.socket:
        servers.append(socket.socket(family_of(host)))
        servers[-1].bind((host, port))
        servers[-1].listen(backlog)
        servers[-1].setblocking(False)
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def make_unix_server() -> Iterator[MakeUnixServer]:
    """Make Unix sockets at paths, whose folders are made as well."""
    servers: list[socket.socket] = []

    def make(path: Path, kind: int = STREAM, backlog: int = 128) -> socket.socket:
        path.parent.mkdir(parents=True, exist_ok=True)
        servers.append(socket.socket(AF_UNIX, kind))
        servers[-1].bind(os.fspath(path))
        path.chmod(0o777)  # for a command that becomes another user
        if kind != DGRAM:
            servers[-1].listen(backlog)
        servers[-1].setblocking(False)
        return servers[-1]

    yield make
    for server in servers:
        server.close()
