"""Waiting for calls to be held."""

from __future__ import annotations

import threading
import time

from sandlock import HandlerCtx, Sandbox
from tests.support.processes import PATIENCE


def wait_for_held(box: Sandbox, calls: int = 1) -> list[HandlerCtx]:
    """Wait until so many calls are held, which no event tells, and return them."""
    end = time.monotonic() + PATIENCE
    while len(held := box.held) < calls:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(held)} calls are held, not {calls}")
        threading.Event().wait(0.001)
    return held
