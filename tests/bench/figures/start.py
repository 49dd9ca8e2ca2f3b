"""What it takes to run a command that does nothing."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from sandlock import Sandbox

from ..harness import Figure
from . import readable

_COMMAND = ["/bin/true"]


def figures() -> Iterator[Figure]:
    sandbox = Sandbox(fs_readable=readable())

    def confined() -> float:
        start = time.perf_counter()
        sandbox.run(_COMMAND, check=True)
        return time.perf_counter() - start

    def bare() -> float:
        start = time.perf_counter()
        subprocess.run(_COMMAND, capture_output=True, check=True)
        return time.perf_counter() - start

    yield Figure("/bin/true, start to exit", confined, bare, "subprocess.run", goal=1.6, rounds=400, uncounted=20)
