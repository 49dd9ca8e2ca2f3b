"""Processes as the kernel tells of them, and events between a test and its command."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

ROOT = Path(__file__).resolve().parents[2]

PATIENCE = 60.0
"""Seconds after which an event that must come counts as missing."""


def open_fds() -> set[int]:
    """Return the descriptors that this process has open."""
    fds = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one of the listing itself
            os.fstat(int(name))
            fds.add(int(name))
    return fds


def children() -> set[int]:
    """Return the children of this process, those without an exit signal (reapers) and zombies included."""
    found: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        try:
            found.update(map(int, Path(f"/proc/self/task/{task}/children").read_text().split()))
        except FileNotFoundError:
            continue  # a thread that has ended meanwhile
    return found


def marked(marker: str) -> list[str]:
    """Return the command lines of the processes that have a word in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().decode())
        except OSError:  # another user's, or gone
            continue
    return found


class Watched:
    """A process whose end can be waited for, whoever its parent is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def gone(self, patience: float = PATIENCE) -> bool:
        """Wait for the end."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(patience * 1000))

    def __enter__(self) -> Watched:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)


class Fifo:
    """A named pipe: a command waits for a line of the test, or the test for one of the command."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def line(self) -> str:
        """Wait for a line."""
        text = b""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while not text.endswith(b"\n"):
            if not poll.poll(PATIENCE * 1000):
                raise TimeoutError(f"no line came through {self.path}; so far: {text!r}")
            text += os.read(self._fd, 1)
        return text.decode().rstrip("\n")

    def release(self) -> None:
        """Let a command go on that reads a line."""
        os.write(self._fd, b"\n")

    def close(self) -> None:
        os.close(self._fd)


MakeFifo = Callable[[str], Fifo]
"""Makes a named pipe of that name in the test's folder."""


def host_command(script: str, *arguments: object, python: Sequence[str] = (sys.executable,)) -> list[str]:
    """Return the command of another host process: an interpreter that runs a script and has the tests' helpers."""
    return [*python, "-c", textwrap.dedent(script), *map(str, arguments)]


def host_environment(**variables: str) -> dict[str, str]:
    """Return the environment of another host process, in which any interpreter finds the package under test."""
    package = importlib.util.find_spec("sandlock")
    assert package is not None
    assert package.origin is not None
    folders = [str(ROOT), str(Path(package.origin).parents[1]), os.environ.get("PYTHONPATH")]
    path = os.pathsep.join(filter(None, folders))
    return {**os.environ, "PYTHONPATH": path, **variables}


def run_host(
    script: str, *arguments: object, python: Sequence[str] = (sys.executable,), **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a script in a host process of its own, to its end."""
    options.setdefault("env", host_environment())
    return subprocess.run(
        host_command(script, *arguments, python=python),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        **options,
    )
