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
def closed_after() -> Iterator[list[socket.socket]]:
    """Sockets that are closed after the test."""
    made: list[socket.socket] = []
    yield made
    for each in made:
        each.close()


@pytest.fixture
def make_receiver(closed_after: list[socket.socket]) -> MakeServer:
    """Make UDP sockets that are bound to an address, at a port that the kernel picks unless one is given."""

    def make(host: str, port: int = 0, backlog: int = 0) -> socket.socket:
        receiver = socket.socket(family_of(host), DGRAM)
        closed_after.append(receiver)
        receiver.bind((host, port))
        receiver.setblocking(False)
        return receiver

    return make


@pytest.fixture
def make_server(closed_after: list[socket.socket]) -> MakeServer:
    """Make TCP servers that listen at an address, at a port that the kernel picks unless one is given."""

    def make(host: str, port: int = 0, backlog: int = 128) -> socket.socket:
        server = socket.socket(family_of(host))
        closed_after.append(server)
        server.bind((host, port))
        server.listen(backlog)
        server.setblocking(False)
        return server

    return make


@pytest.fixture
def make_unix_server(closed_after: list[socket.socket]) -> MakeUnixServer:
    """Make Unix sockets at paths, whose folders are made as well."""

    def make(path: Path, kind: int = STREAM, backlog: int = 128) -> socket.socket:
        path.parent.mkdir(parents=True, exist_ok=True)
        server = socket.socket(AF_UNIX, kind)
        closed_after.append(server)
        server.bind(os.fspath(path))
        path.chmod(0o777)  # for a command that becomes another user
        if kind != DGRAM:
            server.listen(backlog)
        server.setblocking(False)
        return server

    return make
