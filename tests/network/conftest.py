"""Servers on the loopback range, and a program that makes system calls."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import Program
from tests.support.sockets import MakeServer, has_ipv6


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
def make_server() -> Iterator[MakeServer]:
    """Make TCP servers that listen at an address, at a port that the kernel picks unless one is given."""
    servers: list[socket.socket] = []

    def make(host: str, port: int = 0, backlog: int = 128) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        servers.append(socket.socket(family))
        servers[-1].bind((host, port))
        servers[-1].listen(backlog)
        servers[-1].setblocking(False)
        return servers[-1]

    yield make
    for server in servers:
        server.close()
