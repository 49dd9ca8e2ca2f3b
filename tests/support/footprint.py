"""What this process has, which must not grow with the runs that it has had."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandlock._extension import core
from tests.support.processes import children, open_fds

__all__ = ["Footprint", "growth"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Footprint:
    """A look while nothing runs."""

    memory: int
    """Resident, in bytes."""
    tasks: int
    """Threads of the kernel. The Go runtime keeps those that it has once started."""
    fds: int
    threads: int
    """Those of Python."""
    handles: int
    """Objects that Python has of Go."""
    children: int
    frames: int
    """Mappings that are shared with Go."""

    def __str__(self) -> str:
        return f"{self.memory >> 10} KiB, {self.tasks} tasks, {self.fds} fds, {self.threads} threads"

    @classmethod
    def now(cls) -> Footprint:
        gc.collect()
        return cls(
            memory=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE,
            tasks=len(os.listdir("/proc/self/task")),
            fds=len(open_fds()),
            threads=threading.active_count(),
            handles=core().NumHandles(),
            children=len(children()),
            frames=Path("/proc/self/maps").read_text().count("sandlock-frame"),
        )

    def grown(self) -> list[str]:
        """Return what there is more of by now, but for memory and what the Go runtime keeps."""
        now = Footprint.now()
        names = [name for name in Footprint.__dataclass_fields__ if name not in _SLACK]
        return [
            f"{name}: {getattr(self, name)}, now {getattr(now, name)}"
            for name in names
            if getattr(now, name) > getattr(self, name)
        ]


# What may come and go, from the first half to the second.
_SLACK = {"memory": 8 << 20, "tasks": 4}


def growth(looks: Sequence[Footprint]) -> list[str]:
    """Compare the second half of the looks with the first, and return what has grown."""
    half = len(looks) // 2
    grown = []
    for name in Footprint.__dataclass_fields__:
        before, after = ([getattr(look, name) for look in part] for part in (looks[:half], looks[half:]))
        if half and max(after) > max(before) + _SLACK.get(name, 0):
            grown.append(f"{name}: at most {max(before)} in the first half, {max(after)} in the second")
    return grown
