"""The threads that answer notifications in Python: they pull them out of Go."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ._chain import Chain, Link
from ._decision import Failures, ask, decide, give
from ._extension import core
from ._frame import Frame, Slot
from .actions import HOLD, RETURN, NotifAction
from .handler import HandlerCtx

if TYPE_CHECKING:
    from ._async import LoopSide

__all__ = ["Workers"]

_log = logging.getLogger("sandlock")

# One leads, one waits to take over when a decision takes long. More are started when both are away.
_AT_START = 2


class Workers:
    """The worker threads of one run.

    Args:
        run: the handle of the run in Go.
        frame: the memory that the run shares with Go.
        chains: whom to ask, by system call number.
        failures: where to keep what goes wrong.
        most: how many threads there may be.
        loop: the side that awaits asynchronous handlers, None when there are none.
        held: where to keep the calls that a handler holds, by notification id; some may be over.
    """

    def __init__(
        self,
        run: int,
        frame: Frame,
        chains: Mapping[int, Chain],
        failures: Failures,
        most: int,
        loop: LoopSide | None,
        held: dict[int, HandlerCtx],
    ) -> None:
        self._core = core()
        self._run = run
        self._frame = frame
        self._chains = chains
        self._failures = failures
        self._most = most
        self._loop = loop
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._deciding = [False] * most
        self._held = held
        for _ in range(min(_AT_START, most)):
            self._start_one()

    def _start_one(self) -> None:
        with self._lock:
            index = len(self._threads)
            if index >= self._most:
                return
            thread = threading.Thread(target=self._work, args=(index,), name=f"sandlock-{index}", daemon=True)
            self._threads.append(thread)
        thread.start()

    def _work(self, index: int) -> None:
        """Answer until there is nothing more to answer. A worker that fails takes the command with it."""
        following, run = self._core.core_Next, self._run
        slot, memory = self._frame.worker(index)
        chains, deciding = self._chains, self._deciding
        failures = self._failures
        notification = slot.notification
        try:
            while following(run, index):
                snapshot = notification()
                if snapshot[12]:
                    self._start_one()
                chain = chains[snapshot[3]]
                ctx = HandlerCtx(memory, snapshot)
                deciding[index] = True
                link = chain.sole
                if link is not None:
                    action = ask(link, ctx, failures)
                    if action._kind:
                        self._give(index, slot, action, link, ctx)
                elif chain.is_async:
                    self._submit(index, chain, ctx)
                else:
                    action, link = decide(chain, ctx, failures, functools.partial(self._limit, ctx.id))
                    self._give(index, slot, action, link, ctx)
                deciding[index] = False
        except BaseException:
            _log.critical("a worker thread of sandlock failed; its command is killed", exc_info=True)
            with contextlib.suppress(RuntimeError):
                self._core.core_Kill(run)

    def _limit(self, id: int, seconds: float | None) -> None:
        self._core.core_Limit(self._run, id, seconds or 0.0)

    def _give(self, index: int, slot: Slot, action: NotifAction, link: Link, ctx: HandlerCtx) -> None:
        extension, run = self._core, self._run
        kind = action._kind
        if kind <= RETURN:
            slot.answer(kind, action._operand, action._value)  # Next gives it
        elif kind == HOLD:
            self._held[ctx.id] = ctx
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

    def join(self, timeout: float | None = None, *, deciders: bool = True) -> None:
        """Wait for the threads, which end with the run; without ``deciders`` not for those that are in a handler."""
        for index, thread in enumerate(self._threads):
            if thread is not threading.current_thread() and (deciders or not self._deciding[index]):
                thread.join(timeout)
