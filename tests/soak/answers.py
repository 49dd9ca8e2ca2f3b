"""The handlers of the soak: every sort, and every answer, as the child wants it. It is tests/programs/ledger.c."""

from __future__ import annotations

import asyncio
import sys
import time
from enum import IntEnum
from errno import EIO, ETIMEDOUT
from typing import Any, Callable, Protocol

from sandlock import Handler, HandlerCtx, NotifAction
from sandlock._chain import HandlerSpec
from sandlock.handler import OnException

__all__ = ["Kind", "Noting", "WantedError", "handlers", "release"]

_MARK = 0x50A4  # the sixth argument of the child's calls
_TIME = 0.5  # seconds that handlers with a limit have
_CONTINUE = NotifAction.continue_()
_ALL = 2**64 - 1


class Kind(IntEnum):
    """What the child wants; the enum of ledger.c."""

    CONTINUE = 0
    ERRNO = 1
    RETURN = 2
    RAISE = 3
    RUBBISH = 4
    INJECT = 5
    HOLD = 6
    MEMORY = 7
    WAIT = 8
    LATE = 9
    KILL = 10


class Noting(Protocol):
    """Who keeps books."""

    def asked(self, thread: int, number: int, kind: int) -> None:
        """Note that a handler was asked about a call of the child."""

    def observed(self, thread: int) -> None:
        """Note that an observer saw a call."""

    def told(self, thread: int) -> None:
        """Note that an observer was told what a call was answered."""


class WantedError(Exception):
    """The child wanted a handler to fail."""


def _raise(ctx: HandlerCtx, value: int) -> NotifAction:
    raise WantedError


def _memory(ctx: HandlerCtx, value: int) -> NotifAction:
    """Turn over the bits of the number in the child's memory that the call points to."""
    read = int.from_bytes(ctx.read(ctx.args[4], 8) or b"", sys.byteorder)
    written = ctx.write(ctx.args[4], (read ^ _ALL).to_bytes(8, sys.byteorder))
    return NotifAction.returns(read if written else -1)


def _late(ctx: HandlerCtx, value: int) -> NotifAction:
    time.sleep(1.2 * _TIME)
    return NotifAction.returns(value)


_ANSWERS: dict[int, Callable[[HandlerCtx, int], Any]] = {
    Kind.CONTINUE: lambda ctx, value: _CONTINUE,
    Kind.ERRNO: lambda ctx, value: NotifAction.errno(value % 100 + 5),
    Kind.RETURN: lambda ctx, value: NotifAction.returns(value),
    Kind.RAISE: _raise,
    Kind.RUBBISH: lambda ctx, value: "rubbish",
    Kind.INJECT: lambda ctx, value: NotifAction.inject_bytes(value.to_bytes(8, sys.byteorder)),
    Kind.HOLD: lambda ctx, value: NotifAction.hold(),
    Kind.MEMORY: _memory,
    Kind.LATE: _late,
    Kind.KILL: lambda ctx, value: NotifAction.kill(),
}


def release(ctx: HandlerCtx) -> NotifAction:
    """Return the answer to a call that was held."""
    return NotifAction.returns(ctx.args[3])


class _Sync(Handler):
    def __init__(self, books: Noting, limit: float | None = None) -> None:
        self._asked = books.asked
        if limit is not None:
            self.handler_timeout = limit

    def handle(self, ctx: HandlerCtx) -> Any:
        thread, number, kind, value, _, mark = ctx.args
        if mark != _MARK:  # of the program's start
            return _CONTINUE
        self._asked(thread, number, kind)
        return _ANSWERS[kind](ctx, value)


class _Async(_Sync):
    async def handle(self, ctx: HandlerCtx) -> Any:
        thread, number, kind, value, _, mark = ctx.args
        if mark != _MARK:
            return _CONTINUE
        self._asked(thread, number, kind)
        if kind == Kind.LATE:
            await asyncio.sleep(1000)
        if kind == Kind.WAIT:
            await asyncio.sleep(0.001)
            kind = Kind.RETURN
        return _ANSWERS[kind](ctx, value)


class _Watch(Handler):
    observe = True

    def __init__(self, books: Noting) -> None:
        self._books = books

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        if ctx.args[5] == _MARK:
            self._books.observed(ctx.args[0])
        return _CONTINUE

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        if ctx.args[5] == _MARK:
            self._books.told(ctx.args[0])


class _Pass(Handler):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return _CONTINUE


def handlers(books: Noting) -> HandlerSpec:
    """Return handlers for each of the child's calls."""
    failed = NotifAction.errno(EIO)
    limited: OnException = {WantedError: failed, Exception: NotifAction.errno(ETIMEDOUT)}
    return [
        ("getppid", _Sync(books), failed),
        ("getgid", _Watch(books)),
        ("getgid", _Pass()),
        ("getgid", _Sync(books), failed),
        ("getuid", _Sync(books, _TIME), limited),
        ("geteuid", _Async(books), failed),
        ("getegid", _Async(books, _TIME), limited),
    ]
