"""The threads that answer notifications in Python: they pull them out of Go."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._chain import Chain, Link
from ._decision import Failures, ask, decide, discard, give
from ._extension import core
from ._frame import Frame, Slot
from ._held import HeldCalls
from ._threads import Thread, start
from .actions import HOLD, RETURN, NotifAction
from .exceptions import SandboxError
from .handler import HandlerCtx

if TYPE_CHECKING:
    from ._async import LoopSide

__all__ = ["Workers"]

_log = logging.getLogger("sandlock")


class Workers:
    """The worker threads of one run.

    Args:
        run: the handle of the run in Go.
        frame: the memory that the run shares with Go.
        chains: whom to ask, by system call number.
        failures: where to keep what goes wrong.
        most: how many threads there may be.
        loop: the side that awaits asynchronous handlers, None when there are none.
        held: where to keep the calls that a handler holds.
    """

    def __init__(
        self,
        run: int,
        frame: Frame,
        chains: Mapping[int, Chain],
        failures: Failures,
        most: int,
        loop: LoopSide | None,
        held: HeldCalls,
    ) -> None:
        self._core = core()
        self._run = run
        self._frame = frame
        self._chains = chains
        self._failures = failures
        self._loop = loop
        # No lock guards these two: an interrupt in the place where a lock is given back would leave it taken.
        self._free = deque(range(most))
        self._threads: dict[int, threading.Thread] = {}
        self._deciding = [False] * most
        self._dismissed = False
        self._held = held

    def start(self) -> None:
        """Start the first thread.

        Another one follows when there is something to decide, to take over if that takes long; more come when all are
        away.
        """
        self._start_one()

    def _start_one(self) -> None:
        """Start one more worker, if there may be more. Where there cannot, those that there are go on."""
        try:
            index = self._free.popleft()
        except IndexError:
            return
        self._threads[index] = thread = Thread(target=self._work, args=(index,), name=f"sandlock-{index}")
        try:
            start(thread)
        except SandboxError:
            del self._threads[index]
            self._free.appendleft(index)
            if not self._threads:
                raise

    def _work(self, index: int) -> None:
        """Answer until there is nothing more to answer. A worker that fails takes the command with it."""
        following, run = self._core.core_Next, self._run
        slot, memory = self._frame.worker(index)
        chains, deciding = self._chains, self._deciding
        failures = self._failures
        notification = slot.notification
        try:
            while following(run, index):
                deciding[index] = True
                if self._dismissed:  # after deciding is set: see join
                    return
                snapshot = notification()
                if snapshot[12]:
                    self._start_one()
                chain = chains[snapshot[3]]
                ctx = HandlerCtx(memory, snapshot)
                link = chain.sole
                if link is not None:
                    action = ask(link, ctx, failures)
                elif chain.is_async:
                    self._submit(index, chain, ctx)
                    deciding[index] = False
                    continue
                else:
                    decided = decide(run, chain, ctx, failures)
                    if decided is None:
                        deciding[index] = False
                        continue
                    action, link = decided
                if self._dismissed:
                    discard(action)
                    return
                if action._kind:
                    self._give(index, slot, action, link, ctx)
                deciding[index] = False
        except BaseException:
            if self._dismissed:
                return
            _log.critical("a worker thread of sandlock failed; its command is killed", exc_info=True)
            with contextlib.suppress(RuntimeError):
                self._core.core_Kill(run)

    def _give(self, index: int, slot: Slot, action: NotifAction, link: Link, ctx: HandlerCtx) -> None:
        extension, run = self._core, self._run
        kind = action._kind
        if kind <= RETURN:
            slot.answer(kind, action._operand, action._value)  # Next gives it
        elif kind == HOLD:
            self._held.add(ctx)
            extension.core_Detach(run, index)
        else:

            def send(kind: int, operand: int, value: int) -> int:
                slot.answer(kind, operand, value)
                return int(extension.core_Settle(run, index))

            give(action, link, ctx, self._failures, send)

    def _submit(self, index: int, chain: Chain, ctx: HandlerCtx) -> None:
        assert self._loop is not None
        self._core.core_Detach(self._run, index)
        self._loop.submit(chain, ctx)

    def dismiss(self) -> None:
        """Have each worker end instead of answering: somebody else has answered, or this is a forked process."""
        self._dismissed = True

    def join(self, grace: float | None = None) -> bool:
        """Wait for the threads, which end with the run; with ``grace`` only so many seconds for handlers at work.

        Returns:
            Whether all have ended.
        """
        deadline = time.monotonic() + (grace or 0)
        # A thread that has not begun finds the end.
        threads = {index: thread for index, thread in self._threads.copy().items() if thread.ident is not None}
        for index, thread in threads.items():
            if thread is threading.current_thread():
                continue
            if grace is None or not self._deciding[index]:
                thread.join()
            else:
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads.values())
