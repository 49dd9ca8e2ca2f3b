"""What it takes to ask somebody about one system call."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from typing import Callable

from ..host import Host
from ..setting import Setting, readable
from ..timing import OURS, Contestant, Entry, Goal, Row
from .entries import FLOOR, entry, peer

__all__ = ["builtin", "nanoseconds", "rows"]

_SLOW = 20  # of how many calls of ours the peer makes one


def rows() -> Iterator[Row]:
    yield Row("getppid", "getppid, a Python handler answers Continue", _getppid, Goal(1.7, FLOOR), rounds=31)
    yield Row("openat-path", "openat, a Python handler reads the path", _openat_path, Goal(2, FLOOR), rounds=31)
    yield Row("inject-bytes", "openat answered by inject_bytes of 4 KiB", _inject_bytes, Goal(3, FLOOR), rounds=15)
    yield Row("go-handler", "getppid, a Go handler beside Python handlers", _go_handler, Goal(1.3, FLOOR), rounds=31)


def _getppid(setting: Setting) -> Sequence[Entry]:
    return _compared(setting, "getppid", "continue", "getppid", 10_000)


def _openat_path(setting: Setting) -> Sequence[Entry]:
    return _compared(setting, "openat", "path", "path", 10_000)


def _inject_bytes(setting: Setting) -> Sequence[Entry]:
    return _compared(setting, "openat", "bytes", "bytes", 4_000)


def _go_handler(setting: Setting) -> Sequence[Entry]:
    floor, caller = setting.program("floor"), setting.program("caller")
    command = [caller, "getppid", str(setting.size(10_000, 1_000)), "1"]
    return [
        entry(OURS, lambda: builtin(setting, command)),
        Contestant(FLOOR, lambda: nanoseconds([floor, "getppid", *command])),
    ]


def builtin(setting: Setting, command: Sequence[str]) -> Callable[[], float]:
    """Return what runs a command whose getppid calls are answered in Go, on a thread of Python.

    Raises:
        Unavailable: the library cannot be built here.
    """
    library, host = setting.library("builtin"), setting.host()
    arguments = {"library": library, "readable": readable(), "command": command}
    return lambda: float(host.ask("handled_in_go", **arguments)) / 1e9


def _compared(setting: Setting, syscall: str, handler: str, variant: str, calls: int) -> list[Entry]:
    """Compare a handler of host_process.py with a variant of floor.c, which does the same."""
    floor, caller, host = setting.program("floor"), setting.program("caller"), setting.host()
    calls = setting.size(calls, calls // 10)

    def command(calls: int) -> list[str]:
        return [caller, syscall, str(calls), "1"]

    def handled(host: Host, calls: int) -> float:
        policy = {"fs_readable": readable()}
        printed = host.ask("handled", command=command(calls), policy=policy, handlers=[(syscall, handler)])
        return float(printed) / 1e9

    return [
        Contestant(OURS, lambda: handled(host, calls)),
        Contestant(FLOOR, lambda: nanoseconds([floor, variant, *command(calls)])),
        peer(setting, lambda other: handled(other, calls // _SLOW), every=3),
    ]


def nanoseconds(command: list[str]) -> float:
    """Run a command that prints nanoseconds, and return seconds."""
    return float(subprocess.run(command, capture_output=True, check=True).stdout) / 1e9
