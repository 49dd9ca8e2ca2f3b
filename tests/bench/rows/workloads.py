"""What ordinary work takes of which nothing is trapped."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

from .. import subjects
from ..host import Host
from ..setting import SOURCES, Setting, readable
from ..timing import OURS, Contestant, Entry, Goal, Row
from .entries import BARE, peer, wrapped

__all__ = ["rows"]

_GOAL = Goal(1.03, BARE)


def rows() -> Iterator[Row]:
    for name, title, subject in (
        ("find", "find /usr -type f", subjects.find),
        ("compileall", "compileall of the standard library", subjects.compile_library),
        ("make", "a small C program built by make", subjects.build),
        ("git", "git clone and checkout of a local repository", subjects.clone),
        ("sqlite", "an SQLite database filled and read", subjects.load_database),
    ):
        yield Row(name, title, _of(subject), _GOAL, rounds=21)
    yield Row("kv-tcp", "a key-value server asked over loopback", _kv_tcp, _GOAL, rounds=21)
    yield Row("kv-pair", "the same over a pair of Unix sockets", _kv_pair, _GOAL, rounds=21)


def _of(subject: Callable[[Path, bool], list[str]]) -> Callable[[Setting], Sequence[Entry]]:
    """Return what prepares one of the subjects."""

    def prepare(setting: Setting) -> Sequence[Entry]:
        folder = setting.folder()
        return _compared(setting, subject(folder, setting.quick), {"fs_writable": [str(folder), "/dev/null"]})

    return prepare


def _kv_pair(setting: Setting) -> Sequence[Entry]:
    return _compared(setting, [setting.program("kv"), "pair", str(setting.size(40_000, 1_000))], {})


def _kv_tcp(setting: Setting) -> Sequence[Entry]:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [setting.program("kv"), str(port), str(setting.size(40_000, 1_000))]
    # Rules that the kernel enforces alone; it takes 0 among the ports to do so.
    return _compared(setting, command, {"net_allow": [f"tcp://*:{port}"], "net_allow_bind": [0, port]})


def _compared(setting: Setting, command: list[str], policy: dict[str, Any]) -> list[Entry]:
    """Compare a command under a policy, which is added to what all may read, with the same command alone."""
    host, policy = setting.host(), {"fs_readable": [*readable(), str(SOURCES)], **policy}

    def bare(command: list[str]) -> float:
        return float(host.ask("run_bare", command=command))

    def confined(host: Host) -> float:
        return float(host.ask("run_confined", command=command, policy=policy))

    return [
        Contestant(OURS, lambda: confined(host)),
        Contestant(BARE, lambda: bare(command)),
        wrapped(setting, lambda prefix: bare([*prefix, *command]), every=3),
        peer(setting, confined, every=10),
    ]
