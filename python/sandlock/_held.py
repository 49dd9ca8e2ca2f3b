"""The calls that handlers of a run hold."""

from __future__ import annotations

import json
import threading

from ._extension import core
from .errors import OverError, from_core
from .handler import HandlerCtx

__all__ = ["HeldCalls"]

# How many contexts are kept before those of calls that are over are dropped.
_LEAST_SWEEP = 256


class HeldCalls:
    """The contexts of held calls, by notification id. Usable from any thread.

    Args:
        run: the handle of the run in Go, which knows which of them still wait.
    """

    def __init__(self, run: int) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._calls: dict[int, HandlerCtx] = {}
        self._sweep_at = _LEAST_SWEEP

    def add(self, ctx: HandlerCtx) -> None:
        with self._lock:
            if len(self._calls) >= self._sweep_at:  # a child can have its tasks killed while they are held
                waiting = self._waiting()
                self._calls = {id: kept for id, kept in self._calls.items() if id in waiting}
                self._sweep_at = max(_LEAST_SWEEP, 2 * len(self._calls))
            self._calls[ctx.id] = ctx

    def __contains__(self, id: int) -> bool:
        return id in self._calls

    def waiting(self) -> list[HandlerCtx]:
        """Return those that still wait for an answer."""
        waiting = self._waiting()
        with self._lock:
            return [ctx for id, ctx in self._calls.items() if id in waiting]

    def _waiting(self) -> set[int]:
        try:
            return set(json.loads(core().core_Held(self._run)))
        except RuntimeError as error:
            fault = from_core(error)
            if isinstance(fault, OverError):
                return set()
            raise fault from None
