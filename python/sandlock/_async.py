"""Asynchronous handlers: one event loop awaits them, and their answers are given by notification id."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import functools
import os
import threading
from typing import Any, Optional

from ._chain import Chain, Link
from ._decision import Failures, TooLateError, deciding, discard, give
from ._extension import core
from ._held import HeldCalls
from ._threads import Thread, start
from .actions import ERRNO, HOLD
from .exceptions import SandboxError
from .handler import HandlerCtx

__all__ = ["LoopSide"]

_Outcome = tuple[object, Optional[BaseException]]
"""What a synchronous handler returned, or raised."""

# Beyond this many calls in flight a call fails with EAGAIN: a child must not be able to fill the host's memory.
MAX_IN_FLIGHT = 4096

# How often the loop looks for calls whose child no longer waits, in seconds. The kernel tells nobody.
_SWEEP = 0.02
_SWEEP_EACH = 1e-4  # for each call, where there are many: to look at one takes some two microseconds


class LoopSide:
    """The event loop of a run, and the calls that are awaited in it.

    Args:
        run: the handle of the run in Go.
        failures: where to keep what goes wrong.
        held: where to keep the calls that a handler holds.
        threads: how many synchronous handlers of asynchronous chains may be at work at once.
        loop: the caller's loop; None makes one, with a thread of its own.
    """

    def __init__(
        self, run: int, failures: Failures, held: HeldCalls, threads: int, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self._core = core()
        self._run = run
        self._failures = failures
        self._held = held
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._begun: set[int] = set()  # a task that is cancelled before its first step tells nobody
        self._most_threads = threads
        self._free: asyncio.Semaphore | None = None  # of the loop, which Python 3.9 wants to see running
        self._asked: dict[asyncio.Future[_Outcome], threading.Thread] = {}  # synchronous handlers at work
        self._submitted: list[tuple[Chain, HandlerCtx]] = []  # not yet tasks; under the lock
        self._lock = threading.Lock()
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False
        self._owner = os.getpid()
        self._closing: concurrent.futures.Future[None] | None = None
        self._thread: threading.Thread | None = None
        if loop is None:
            loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._run_loop, name="sandlock-loop")
        self._loop = loop
        if self._thread is not None:
            try:
                start(self._thread)
            except SandboxError:
                loop.close()
                raise

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        if os.getpid() != self._owner:  # a handler has forked
            return
        try:
            self._loop.run_until_complete(self._cancel_leftovers())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    async def _cancel_leftovers(self) -> None:
        """Cancel what handlers have begun, as asyncio.run does."""
        leftovers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in leftovers:
            task.cancel()
        await asyncio.gather(*leftovers, return_exceptions=True)

    def submit(self, chain: Chain, ctx: HandlerCtx) -> None:
        """Decide about a call that is no worker's any more. Called from worker threads."""
        with self._lock:
            crowded = len(self._submitted) + len(self._tasks) >= MAX_IN_FLIGHT
            first = not self._submitted
            if not crowded:
                self._submitted.append((chain, ctx))
        if crowded:
            self._core.core_Complete(self._run, ctx.id, ERRNO, errno.EAGAIN, 0)
            return
        try:
            if first or self._loop.is_closed():  # else the loop has been woken, and comes for all at once
                self._loop.call_soon_threadsafe(self._begin)
        except RuntimeError:  # the caller's loop is closed: nobody will decide
            answer = chain.constants[0]
            self._core.core_Complete(self._run, ctx.id, answer._kind, answer._operand, answer._value)

    def _begin(self) -> None:
        with self._lock:
            submitted, self._submitted = self._submitted, []
            if self._closed:
                return
            for chain, ctx in submitted:
                task = self._loop.create_task(self._decide(chain, ctx))
                self._tasks[ctx.id] = task
                task.add_done_callback(functools.partial(self._forget, ctx.id))
        if self._sweeper is None:
            self._sweeper = self._loop.create_task(self._sweep())

    def _forget(self, id: int, _: asyncio.Task[None]) -> None:
        del self._tasks[id]
        self._begun.discard(id)

    async def _decide(self, chain: Chain, ctx: HandlerCtx) -> None:
        self._begun.add(ctx.id)
        steps = deciding(self._run, chain, ctx, self._failures)
        try:
            link = next(steps)
            while True:
                try:
                    answer, exception = await self._ask(link, ctx)
                except asyncio.CancelledError as cancelled:
                    link = steps.throw(cancelled if self._waits(ctx.id) else TooLateError())
                else:
                    link = steps.send(answer) if exception is None else steps.throw(exception)
        except StopIteration as end:
            if end.value is None:
                return
            action, link = end.value
        if self._closed:
            discard(action)
        elif action._kind == HOLD:
            self._held.add(ctx)
        else:
            extension, run, id = self._core, self._run, ctx.id
            give(action, link, ctx, self._failures, lambda k, o, v: extension.core_Complete(run, id, k, o, v))

    async def _ask(self, link: Link, ctx: HandlerCtx) -> _Outcome:
        """Return what a handler returned or raised. A cancellation is raised."""
        if link.is_async:
            try:
                return await link.handler.handle(ctx), None  # type: ignore[misc]
            except asyncio.CancelledError:
                raise
            except BaseException as exception:
                return None, exception
        if self._free is None:
            self._free = asyncio.Semaphore(self._most_threads)
        await self._free.acquire()
        returned: asyncio.Future[_Outcome] = self._loop.create_future()
        # A thread of the loop's executor would keep the interpreter from ending while the handler is at work.
        thread = Thread(target=self._call, args=(link, ctx, returned), name="sandlock-call")
        try:
            start(thread)
        except SandboxError as exception:
            self._free.release()
            return None, exception
        self._asked[returned] = thread
        try:
            return await asyncio.shield(returned)
        except asyncio.CancelledError:
            returned.add_done_callback(lambda late: discard(late.result()[0]))
            raise

    def _call(self, link: Link, ctx: HandlerCtx, returned: asyncio.Future[_Outcome]) -> None:
        """Ask a synchronous handler, in a thread of its own."""
        outcome: _Outcome
        try:
            outcome = link.handler.handle(ctx), None
        except BaseException as exception:
            outcome = None, exception
        try:
            self._loop.call_soon_threadsafe(self._return, returned, outcome)
        except RuntimeError:  # the loop is closed
            discard(outcome[0])

    def _return(self, returned: asyncio.Future[_Outcome], outcome: _Outcome) -> None:
        assert self._free is not None
        self._free.release()
        self._asked.pop(returned).join()  # it has nothing more to do
        returned.set_result(outcome)

    def _waits(self, id: int) -> bool:
        return not self._closed and self._core.core_StillWaits(self._run, id)

    async def _sweep(self) -> None:
        """Cancel what nobody waits for any more, for as long as there is something to await."""
        while self._tasks:
            await asyncio.sleep(max(_SWEEP, len(self._tasks) * _SWEEP_EACH))
            for id, task in list(self._tasks.items()):
                if id in self._begun and not self._waits(id):
                    task.cancel()
        self._sweeper = None

    def dismiss(self) -> None:
        """Give no more answers: somebody else has answered, or this is a forked process."""
        self._closed = True
        if self._thread is threading.current_thread():  # of a fork in a handler
            self._loop.stop()

    async def aclose(self, grace: float | None = None) -> None:
        """Cancel what is still awaited, from within the loop; wait for handlers at work, at most ``grace`` seconds."""
        with self._lock:
            self._closed = True
            tasks: set[asyncio.Future[Any]] = set(self._tasks.values())
        if self._sweeper is not None:
            tasks.add(self._sweeper)
        for task in tasks:
            task.cancel()
        working = tasks | set(self._asked)
        if working:
            await asyncio.wait(working, timeout=grace)

    def close(self, grace: float | None = None) -> None:
        """Do as :meth:`aclose`, and end the thread, for a loop of our own; wait for it at most ``grace`` seconds."""
        if self._thread is None or not self._thread.is_alive():
            return
        if self._closing is None:
            self._closing = asyncio.run_coroutine_threadsafe(self.aclose(), self._loop)
            self._closing.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        if self._thread is not threading.current_thread():
            self._thread.join(grace)
