"""Calls on descriptors, performed on the child's behalf, with the waits that the kernel would do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ._extension import core
from ._frame import Transferred
from .context import HandlerCtx
from .exceptions import NotifError

if TYPE_CHECKING:
    import asyncio

__all__ = ["transfer"]

_TICK = 0.02
"""How often a wait looks for a signal to the task, in seconds: the kernel tells nobody."""

_MOST_DOUBTS = 50
"""For how many ticks in a row a signal is left to other threads that could take it."""

_ERESTARTSYS = 512  # include/linux/errno.h: after a signal the call is made again, where that wants it so


async def transfer(ctx: HandlerCtx, most: int = 0) -> Transferred:
    """Perform a call such as read for the child, with so many bytes at most where ``most`` is not 0."""
    import asyncio  # here, because it is half of the package's import time

    deadline: float | None = None
    loop = asyncio.get_running_loop()
    while True:
        try:
            result = ctx._memory.transfer(ctx.id, most)
        except NotifError:
            if ctx._waits():
                raise
            return Transferred(0, errno.EINTR, -1, False, 0, "")  # the child is gone: nobody gets it
        if result.awaited < 0:
            return result
        if result.patience and deadline is None:
            deadline = loop.time() + result.patience
        try:
            failure = await _ready(ctx, result, deadline)
        finally:
            core().core_CloseAwaited(result.awaited)  # os.close could linger
        if failure:
            return result._replace(errno=failure, awaited=-1)


async def _ready(ctx: HandlerCtx, result: Transferred, deadline: float | None) -> int:
    """Wait until a descriptor is ready; else return the errno with which the wait ends."""
    import asyncio

    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    watch, forget = (loop.add_writer, loop.remove_writer) if result.writing else (loop.add_reader, loop.remove_reader)
    watch(result.awaited, _finish, ready)
    try:
        doubts = 0
        while not (await asyncio.wait({ready}, timeout=_TICK))[0]:
            if deadline is not None and loop.time() >= deadline:
                return errno.EAGAIN
            signalled = ctx._memory.signalled(ctx.id)
            doubts = doubts + 1 if signalled else 0
            if signalled == 2 or doubts >= _MOST_DOUBTS:
                return _ERESTARTSYS if signalled == 2 and deadline is None else errno.EINTR
        return 0
    finally:
        forget(result.awaited)


def _finish(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
