"""Handlers that make calls fail, slow or incomplete: for tests of what a program does then."""

from __future__ import annotations

import fnmatch
import threading
import time
from collections.abc import Sequence

from .._process import open_file
from .._syscalls import name_of, numbers_of
from .._transfer import transfer
from ..actions import NotifAction
from ..context import HandlerCtx
from ..handler import Handler

__all__ = ["FaultHandler", "RateLimitHandler", "ShortTransferHandler"]


class _CountingHandler(Handler):
    """Does something to some of the calls, and counts all."""

    def __init__(self, first: int, count: int | None) -> None:
        for name, value in (("first", first), ("count", count)):
            if value is not None:
                _check_positive(name, value)
        self._first = first
        self._count = count
        self._lock = threading.Lock()
        self._calls = 0

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return self._calls

    def _is_next_due(self) -> bool:
        with self._lock:
            self._calls += 1
            number = self._calls
        return number >= self._first and (self._count is None or number < self._first + self._count)


class FaultHandler(_CountingHandler):
    """Makes some of the calls fail, late if wanted; the others go on. It counts all calls that it is registered for.

    Args:
        errno: what they fail with; None only delays them.
        first: the number of the first call that fails, from 1 on.
        count: how many fail; None is all from there on.
        delay: seconds before the answer to those that fail. They keep one of the ``handler_threads`` busy.
    """

    def __init__(self, errno: int | None, *, first: int = 1, count: int | None = None, delay: float = 0.0) -> None:
        self._answer = NotifAction.continue_() if errno is None else NotifAction.errno(errno)
        super().__init__(first, count)
        self._delay = _seconds("delay", delay)

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        if not self._is_next_due():
            return NotifAction.continue_()
        if self._delay:
            time.sleep(self._delay)
        return self._answer


class ShortTransferHandler(_CountingHandler):
    """Makes some reads give, and some writes take, fewer bytes than they ask for; the others go on.

    Register it for ``read``, ``pread64``, ``recvfrom``, ``write`` and ``pwrite64``. Reads from regular files, pipes and
    stream sockets are cut short, and writes to regular files and pipes; those on other descriptors go on unchanged.

    Args:
        most: how many bytes they transfer at most.
        files: ``fnmatch`` patterns of the files, by their names in /proc/PID/fd: an absolute path, ``pipe:*`` or
            ``socket:*``; only calls on those are counted and cut short. None is all, also those of the dynamic loader,
            which does not loop around ``pread64``.
        first: the number of the first call that is cut short, from 1 on.
        count: how many are; None is all from there on.
    """

    def __init__(
        self, most: int = 1, *, files: Sequence[str] | None = None, first: int = 1, count: int | None = None
    ) -> None:
        self._most = _check_positive("most", most)
        if isinstance(files, str):
            raise TypeError(f"files must be a list of patterns, not {files!r}")
        self._files = None if files is None else list(files)
        super().__init__(first, count)

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        if ctx.syscall_nr not in numbers_of(_CUTTABLE):
            raise ValueError(f"{name_of(ctx.syscall_nr)} cannot be cut short; {', '.join(_CUTTABLE)} can be")
        if self._files is not None:
            name = open_file(ctx.pid, ctx.args[0])
            if name is None or not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._files):
                return NotifAction.continue_()
        if not self._is_next_due() or ctx.args[2] <= self._most:
            return NotifAction.continue_()
        result = await transfer(ctx, self._most)
        if result.unsupported:
            return NotifAction.continue_()
        return NotifAction.errno(result.errno) if result.errno else NotifAction.returns(result.value)


_CUTTABLE = ("read", "pread64", "recvfrom", "write", "pwrite64")


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
        _check_positive("burst", burst)
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


def _check_positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int from 1 on, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be an int from 1 on, not {value}")
    return value


def _seconds(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {value!r}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be finite and not negative, not {value!r}")
    return float(value)
