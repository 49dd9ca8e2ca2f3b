"""Handlers that take longer than their limit."""

from __future__ import annotations

import asyncio
import errno
import threading
from typing import Any

from sandlock import Handler, HandlerCtx, NotifAction, Result, Sandbox
from tests.support.handlers import CONTINUE, Do
from tests.support.processes import PATIENCE

CHDIR = ["sh", "-c", "cd / || echo refused; umask >&2"]
EPERM = NotifAction.errno(errno.EPERM)

SHORT = 0.05
LONG = 1000.0


class Late(Handler):
    """Answers chdir only when the child has gone on to umask, or its end was seen."""

    def __init__(self, action: NotifAction = CONTINUE, **fields: Any) -> None:
        self._action = action
        self._goes_on = threading.Event()
        self.asked = 0
        for name, value in fields.items():
            setattr(self, name, value)

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.asked += 1
        assert self._goes_on.wait(PATIENCE)
        return self._action

    def go_on(self) -> None:
        self._goes_on.set()


def run(box: Sandbox, late: Late, *handlers: Any, **options: Any) -> Result:
    """Run with handlers on chdir, among them one that is late."""

    def next_call(ctx: HandlerCtx) -> NotifAction:
        late.go_on()
        return CONTINUE

    unlimited = Do(next_call)
    unlimited.handler_timeout = None
    registrations = [("chdir", *(h if isinstance(h, tuple) else (h,))) for h in handlers or (late,)]
    return box.run(CHDIR, handlers=[*registrations, ("umask", unlimited)], timeout=100, **options)


class Asynchronous(Handler):
    """Sleeps on past its limit, and tells when it is cancelled."""

    handler_timeout = SHORT
    on_exception = EPERM

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return CONTINUE
