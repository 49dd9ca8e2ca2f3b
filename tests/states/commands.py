"""Commands, and handlers for their calls of umask(2), for the state machine."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Callable

from sandlock import ExceptionPolicy, Handler, HandlerCtx, NotifAction
from sandlock._chain import HandlerSpec
from tests.support.handlers import Answer, Fail

__all__ = ["COMMANDS", "Command"]


class _Async(Handler):
    def __init__(self, action: NotifAction | None) -> None:
        self._action = action

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(0)
        if self._action is None:
            raise OSError("a handler fails")
        return self._action


class _Never(Handler):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(1000)
        raise AssertionError


class _Slow(Handler):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        time.sleep(0.02)
        return NotifAction.returns(1)


class _Late(_Never):
    handler_timeout = 0.01
    on_exception = NotifAction.errno(1)


@dataclass(frozen=True)
class Command:
    """A command to run, and what is known of it beforehand."""

    name: str
    args: tuple[str, ...]
    stays: bool
    """Whether it ends only when it is made to."""
    handler: Callable[[], Handler] | None = None

    @property
    def handlers(self) -> HandlerSpec:
        return () if self.handler is None else [("umask", self.handler(), ExceptionPolicy.CONTINUE)]

    def __repr__(self) -> str:
        return self.name


def _asking(name: str, handler: Callable[[], Handler], stays: bool = True) -> Command:
    return Command(name, ("sh", "-c", "umask; umask; exec sleep 1000"), stays, handler)


COMMANDS = [
    Command("sleep", ("sleep", "1000"), stays=True),
    Command("true", ("true",), stays=False),
    Command("echo", ("sh", "-c", "echo out; echo err >&2"), stays=False),
    Command("cat", ("cat",), stays=False),
    Command("daemon", ("sh", "-c", "sleep 1000 & setsid sleep 1000"), stays=True),
    Command("missing", ("/nonexistent",), stays=False),
    _asking("continued", Answer),
    _asking("returned", lambda: Answer(NotifAction.returns(1))),
    _asking("injected", lambda: Answer(NotifAction.inject_bytes(b"content"))),
    _asking("killed", lambda: Answer(NotifAction.kill()), stays=False),
    _asking("held", lambda: Answer(NotifAction.hold())),
    _asking("failed", lambda: Fail(OSError("a handler fails"))),
    _asking("slow", _Slow),
    _asking("async", lambda: _Async(NotifAction.returns(1))),
    _asking("async failed", lambda: _Async(None)),
    _asking("async held", lambda: _Async(NotifAction.hold())),
    _asking("async never", _Never),
    _asking("async late", _Late),
]
