"""Asynchronous handlers: one event loop awaits them, and their answers are given by notification id."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import threading

from ._chain import Chain, Link
from ._decision import Failures, checked, conclude, discard, give
from ._extension import core
from ._threads import start
from .actions import CONTINUE, ERRNO, HOLD, NotifAction
from .handler import HandlerCtx

__all__ = ["LoopSide"]

# Beyond this many calls in flight a call fails with EAGAIN: a child must not be able to fill the host's memory.
MAX_IN_FLIGHT = 4096

# How often the loop looks for calls whose child no longer waits, in seconds. The kernel tells nobody.
_SWEEP = 0.02


class LoopSide:
    """The event loop of a run, and the calls that are awaited in it.

    Args:
        run: the handle of the run in Go.
        held: where to keep the calls that a handler holds.
        loop: the caller's loop; None makes one, with a thread of its own.
    """

    def __init__(
        self, run: int, failures: Failures, held: dict[int, HandlerCtx], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self._core = core()
        self._run = run
        self._failures = failures
        self._held = held
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._waiting = 0  # submitted, but not yet a task; under the lock
        self._lock = threading.Lock()
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False
        self._closing: concurrent.futures.Future[None] | None = None
        self._thread: threading.Thread | None = None
        if loop is None:
            loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run_loop, name="sandlock-loop", daemon=True)
        self._loop = loop
        if self._thread is not None:
            start(self._thread)

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def submit(self, chain: Chain, ctx: HandlerCtx) -> None:
        """Decide about a call that is no worker's any more. Called from worker threads."""
        with self._lock:
            crowded = self._waiting + len(self._tasks) >= MAX_IN_FLIGHT
            if not crowded:
                self._waiting += 1
        if crowded:
            self._core.core_Complete(self._run, ctx.id, ERRNO, errno.EAGAIN, 0)
            return
        try:
            self._loop.call_soon_threadsafe(self._begin, chain, ctx)
        except RuntimeError:  # the caller's loop is closed: nobody will decide
            answer = chain.constant
            self._core.core_Complete(self._run, ctx.id, answer._kind, answer._operand, answer._value)

    def _begin(self, chain: Chain, ctx: HandlerCtx) -> None:
        with self._lock:
            self._waiting -= 1
            if self._closed:
                return
            task = self._loop.create_task(self._decide(chain, ctx))
            self._tasks[ctx.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(ctx.id, None))
        if self._sweeper is None:
            self._sweeper = self._loop.create_task(self._sweep())

    async def _decide(self, chain: Chain, ctx: HandlerCtx) -> None:
        action, link = NotifAction.continue_(), chain.links[0]
        for position, link in enumerate(chain.links):
            try:
                if position and chain.is_timed:
                    self._core.core_Limit(self._run, ctx.id, link.timeout or 0.0)
                action = checked(link, await self._ask(link, ctx))
            except asyncio.CancelledError as exception:
                if not self._waits(ctx.id):
                    return  # the child is gone, or its time was over
                action = self._failures.record(link, ctx, exception)
            except BaseException as exception:
                action = self._failures.record(link, ctx, exception)
            if action._kind != CONTINUE:
                break
        if self._closed:
            discard(action)
            return
        conclude(chain, ctx, action, self._failures)
        if action._kind == HOLD:
            self._held[ctx.id] = ctx
            return
        extension, run, id = self._core, self._run, ctx.id
        give(action, link, ctx, self._failures, lambda k, o, v: extension.core_Complete(run, id, k, o, v))

    async def _ask(self, link: Link, ctx: HandlerCtx) -> object:
        if link.is_async:
            return await link.handler.handle(ctx)  # type: ignore[misc]
        return await self._loop.run_in_executor(None, link.handler.handle, ctx)

    def _waits(self, id: int) -> bool:
        return not self._closed and self._core.core_StillWaits(self._run, id)

    async def _sweep(self) -> None:
        """Cancel what nobody waits for any more, for as long as there is something to await."""
        while self._tasks:
            await asyncio.sleep(_SWEEP)
            for id, task in list(self._tasks.items()):
                if not self._waits(id):
                    task.cancel()
        self._sweeper = None

    def dismiss(self) -> None:
        """Give no more answers: somebody else has answered, or this is a forked process."""
        self._closed = True
        if self._thread is threading.current_thread():  # of a fork in a handler
            self._loop.stop()

    async def aclose(self) -> None:
        """Cancel what is still awaited, from within the loop."""
        with self._lock:
            self._closed = True
            tasks: list[asyncio.Task[None]] = list(self._tasks.values())
        if self._sweeper is not None:
            tasks.append(self._sweeper)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self, grace: float | None = None) -> None:
        """Do as :meth:`aclose`, and end the thread, for a loop of our own; wait for it at most ``grace`` seconds."""
        if self._thread is None or not self._thread.is_alive():
            return
        if self._closing is None:
            self._closing = asyncio.run_coroutine_threadsafe(self.aclose(), self._loop)
            self._closing.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        if self._thread is not threading.current_thread():
            self._thread.join(grace)
