"""Holding calls, and waiting for calls to be held."""

from __future__ import annotations

import threading
import time

from sandlock import Handler, HandlerCtx, NotifAction, Process, Sandbox
from tests.support.processes import PATIENCE


def wait_for_held(box: Sandbox | Process, calls: int = 1) -> list[HandlerCtx]:
    """Wait until so many calls are held, which no event tells, and return them."""
    end = time.monotonic() + PATIENCE
    while len(held := box.held) < calls:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(held)} calls are held, not {calls}")
        threading.Event().wait(0.001)
    return held


class HoldAll(Handler):
    """Holds every call, and tells of it."""

    def __init__(self) -> None:
        self._held = threading.Semaphore(0)
        self.contexts: list[HandlerCtx] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.contexts.append(ctx)
        self._held.release()
        return NotifAction.hold()

    def wait(self, box: Sandbox | Process, calls: int) -> list[HandlerCtx]:
        """Wait until so many calls are held, and return them."""
        for _ in range(calls):
            assert self._held.acquire(timeout=PATIENCE)
        return wait_for_held(box, calls)  # the handlers have returned only then
