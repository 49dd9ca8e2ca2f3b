"""What the package takes of the process that uses it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Callable

from ..host import Host
from ..setting import SOURCES, Setting, readable
from ..timing import OURS, Contestant, Entry, Goal, Row, Unit
from .entries import peer

__all__ = ["rows"]

_LIVE = 1000


def rows() -> Iterator[Row]:
    yield Row("import", "import sandlock", _fresh("import"), Goal(15e-3), rounds=41)
    yield Row("import-name", "from sandlock import Sandbox", _fresh("name"), rounds=41)
    yield Row("first-run", "the first run in a fresh process, imported", _fresh("run"), Goal(60e-3), rounds=21)
    memory, bound = _fresh("memory"), Goal(15 << 20)
    yield Row("memory", "memory (PSS) that import and a run add", memory, bound, unit=Unit.BYTES, rounds=9)
    title, goal = "memory (PSS) of the host for each live sandbox", Goal(200 << 10)
    yield Row("live-memory", title, _live("memory"), goal, Unit.BYTES, rounds=3, warm_up=0)
    title, goal = "threads of the host for each live sandbox", Goal(1)
    yield Row("live-threads", title, _live("threads"), goal, Unit.COUNT, rounds=3, warm_up=0)
    title, goal = "sandboxes alive at once in one process", Goal(_LIVE, at_least=True)
    yield Row("live", title, _live("alive"), goal, Unit.COUNT, rounds=1, warm_up=0)


def _live(what: str) -> Callable[[Setting], Sequence[Entry]]:
    """Return what prepares a measurement of many sandboxes at once."""

    def prepare(setting: Setting) -> Sequence[Entry]:
        def measure() -> float:
            with Host(sys.executable) as host:
                count = setting.size(_LIVE, 50)
                return float(host.ask("live", policy={"fs_readable": readable()}, count=count)[what])

        return [Contestant(OURS, measure)]

    return prepare


def _fresh(what: str) -> Callable[[Setting], Sequence[Entry]]:
    """Return what prepares a measurement of fresh_process.py."""

    def measure(python: str) -> float:
        command = [python, "-I", str(SOURCES / "fresh_process.py"), what, *readable()]
        return float(subprocess.run(command, capture_output=True, check=True).stdout)

    def prepare(setting: Setting) -> Sequence[Entry]:
        return [
            Contestant(OURS, lambda: measure(sys.executable)),
            peer(setting, lambda host: measure(host.python), every=3),
        ]

    return prepare
