"""The command line as a user calls it, with a home of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.support.processes import host_environment
from tests.support.sandboxes import SYSTEM_PATHS

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home without profiles and running sandboxes."""
    (tmp_path / "home").mkdir()
    environment = {**host_environment(), "HOME": str(tmp_path / "home")}
    return {name: value for name, value in environment.items() if not name.startswith("XDG_")}


@pytest.fixture
def sandlock_command(environment: dict[str, str], tmp_path: Path) -> Call:
    """Run ``sandlock`` with arguments, in a work folder."""
    (tmp_path / "work").mkdir(exist_ok=True)

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandlock", *map(str, arguments)]
        settings = {"cwd": tmp_path / "work", "env": environment, "timeout": 60, "stdin": subprocess.DEVNULL, **options}
        return subprocess.run(command, check=False, capture_output=True, text=True, **settings)

    return run


@pytest.fixture
def system() -> list[str]:
    """The flags with which the programs of this system work."""
    return [word for path in SYSTEM_PATHS for word in ("-r", str(path))]


@pytest.fixture
def unused_ports() -> Callable[[int], list[int]]:
    """Find ports of TCP and UDP that nobody uses, and that the kernel does not pick."""

    def find(count: int) -> list[int]:
        found: list[int] = []
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        for port in range(first - 1, 1024, -1):
            if len(found) == count:
                break
            with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
                for each in (tcp, udp):
                    each.bind(("127.0.0.1", port))
                found.append(port)
        return found

    return find
