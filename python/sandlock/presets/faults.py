"""Handlers that make calls fail, or slow: for tests of what a program does then."""

from __future__ import annotations

import threading
import time

from ..actions import NotifAction
from ..context import HandlerCtx
from ..handler import Handler

__all__ = ["FaultHandler", "RateLimitHandler"]


class FaultHandler(Handler):
    """Makes some of the calls fail, late if wanted; the others go on. It counts all calls that it is registered for.

    Args:
        errno: what they fail with; None only delays them.
        first: the number of the first call that fails, from 1 on.
        count: how many fail; None is all from there on.
        delay: seconds before the answer to those that fail. They keep one of the ``handler_threads`` busy.
    """

    def __init__(self, errno: int | None, *, first: int = 1, count: int | None = None, delay: float = 0.0) -> None:
        self._answer = NotifAction.continue_() if errno is None else NotifAction.errno(errno)
        for name, value in (("first", first), ("count", count)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be an int from 1 on, not {value!r}")
        self._first = first
        self._count = count
        self._delay = _seconds("delay", delay)
        self._lock = threading.Lock()
        self._calls = 0

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self._calls

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        with self._lock:
            self._calls += 1
            number = self._calls
        if number < self._first or (self._count is not None and number >= self._first + self._count):
            return NotifAction.continue_()
        if self._delay:
            time.sleep(self._delay)
        return self._answer


class RateLimitHandler(Handler):
    """Lets so many calls a second go on. Further ones wait for their turn, or fail.

    Args:
        per_second: how many, in the long run.
        burst: how many may come at once after a pause.
        errno: what further calls fail with; None lets them wait, which keeps ``handler_threads`` busy.
    """

    def __init__(self, per_second: float, *, burst: int = 1, errno: int | None = None) -> None:
        if not _seconds("per_second", per_second):
            raise ValueError("per_second must be more than 0; deny the call to let none through")
        if isinstance(burst, bool) or not isinstance(burst, int) or burst < 1:
            raise ValueError(f"burst must be an int from 1 on, not {burst!r}")
        self._interval = 1 / per_second
        self._burst = burst
        self._refusal = None if errno is None else NotifAction.errno(errno)
        self._lock = threading.Lock()
        self._next = float("-inf")  # when the turn of a call comes that finds no other before it

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        with self._lock:
            now = time.monotonic()
            earliest = now - (self._burst - 1) * self._interval
            turn = max(self._next, earliest)
            if self._refusal is not None and turn > now:
                return self._refusal
            self._next = turn + self._interval
        if turn > now:
            time.sleep(turn - now)
        return NotifAction.continue_()


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be finite and not negative, not {value!r}")
    return float(value)
