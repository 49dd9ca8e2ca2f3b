"""Handlers that are at work for ever once they are asked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import NoReturn

from sandlock import Handler, HandlerCtx, NotifAction

asked = threading.Event()
"""A handler of this process is at work."""


class Sleeping(Handler):
    def handle(self, ctx: HandlerCtx) -> NoReturn:
        asked.set()
        while True:
            time.sleep(1000)


class Looping(Handler):
    def handle(self, ctx: HandlerCtx) -> NoReturn:
        asked.set()
        while True:
            pass


class Waiting(Handler):
    """Waits for a lock that nobody frees."""

    def handle(self, ctx: HandlerCtx) -> NoReturn:
        lock = threading.Lock()
        lock.acquire()
        asked.set()
        while True:
            lock.acquire()


class Reading(Handler):
    """Is in and out of the extension all the time."""

    def handle(self, ctx: HandlerCtx) -> NoReturn:
        asked.set()
        while True:
            ctx.read_path()


class Observing(Sleeping):
    observe = True


class Awaiting(Handler):
    async def handle(self, ctx: HandlerCtx) -> NoReturn:
        asked.set()
        while True:
            await asyncio.sleep(1000)


class Stubborn(Handler):
    """Cannot be cancelled."""

    async def handle(self, ctx: HandlerCtx) -> NoReturn:
        asked.set()
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)


class Blocking(Handler):
    """Keeps its event loop from everything else."""

    async def handle(self, ctx: HandlerCtx) -> NoReturn:
        asked.set()
        while True:
            time.sleep(1000)


class Holding(Handler):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        asked.set()
        return NotifAction.hold()


CHAINS: dict[str, list[type[Handler]]] = {
    "sleeping": [Sleeping],
    "looping": [Looping],
    "waiting": [Waiting],
    "reading": [Reading],
    "observing": [Observing],
    "awaiting": [Awaiting],
    "stubborn": [Stubborn],
    "blocking": [Blocking],
    "holding": [Holding],
}
"""Chains by what makes them busy."""


def chain(name: str, syscall: str) -> list[tuple[str, Handler]]:
    """Return the registrations of a chain of that name."""
    return [(syscall, kind()) for kind in CHAINS[name]]
