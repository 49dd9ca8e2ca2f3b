"""What it takes to ask a handler in Python about one system call."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox

from ..harness import Figure
from ..programs import BUILD, compiled
from . import readable

_CALLS = 10_000


class Continue(Handler):
    """Looks at nothing: what is measured is the way to a handler and back."""

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return NotifAction.continue_()


def figures() -> Iterator[Figure]:
    probe, caller = compiled("probe"), compiled("caller")
    command = [caller, str(_CALLS)]
    sandbox = Sandbox(fs_readable=[*readable(), BUILD])

    def handled() -> float:
        result = sandbox.run(command, handlers=[("getppid", Continue())], check=True)
        return float(result.stdout) / 1e9

    def probed() -> float:
        result = subprocess.run([probe, *command], capture_output=True, check=True)
        return float(result.stdout) / 1e9

    yield Figure("getppid with a handler, one call", handled, probed, "probe.c", goal=2.5, rounds=15)
