"""One run of a sandbox: the command in Go, those who answer in Python, and how both come to their end."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ._chain import Chain
from ._decision import Failures
from ._extension import core
from ._frame import Frame
from ._request import encode
from ._workers import Workers
from .actions import NotifAction
from .errors import from_core
from .handler import HandlerCtx
from .result import ExitReason, HandlerFailure, Result

if TYPE_CHECKING:
    import asyncio

    from ._async import LoopSide

__all__ = ["Run", "Supervision"]

_log = logging.getLogger("sandlock")

_live: weakref.WeakSet[Run] = weakref.WeakSet()

_PLACE = "run"

# The runs of a forked process are its parent's.
os.register_at_fork(after_in_child=_live.clear)


@atexit.register
def _abandon_all() -> None:
    """Take the answers away from Python before it is finalized.

    A thread that comes back from Go into a finalizing interpreter hangs or crashes. So every run is answered by its
    constant actions from here on, and no thread stays in Go; the end of the process ends the commands.
    """
    for run in list(_live):
        run.abandon()


@dataclass(frozen=True)
class Supervision:
    """Who answers in Python, and how."""

    chains: Mapping[int, Chain]
    threads: int


@dataclass
class _Parts:
    """What a run consists of, and how it ends. It does not refer to the Run, whose loss ends it."""

    handle: int
    owner: int = field(default_factory=os.getpid)
    frame: Frame | None = None
    loop_side: LoopSide | None = None
    place: dict[str, weakref.ref[Run]] = field(default_factory=dict)
    ended: bool = False

    def end(self) -> None:
        """End the run, in the process that made it. Where an exception has interrupted it, the next call goes on."""
        if self.ended or os.getpid() != self.owner:
            return
        if self.loop_side is not None:
            self.loop_side.close()
        if self.frame is not None:
            self.frame.revoke()
        try:
            core().core_Close(self.handle)
        except RuntimeError as error:
            _log.error("ending a run: %s", from_core(error))
        self.place.pop(_PLACE, None)
        self.ended = True


class Run:
    """A command. :meth:`close` ends it, and so does losing the last reference to it: an exception may come at any line.

    What works for a run while it is under way, threads above all, must not refer to it.
    """

    def __init__(self, supervision: Supervision) -> None:
        self._core = core()
        self._supervision = supervision
        self._failures = Failures()
        self._held: dict[int, HandlerCtx] = {}
        self._workers: Workers | None = None
        self._abandoned = threading.Event()
        self._handle: int = self._core.core_New()
        self._parts = _Parts(self._handle)
        weakref.finalize(self, self._parts.end).atexit = False  # see _abandon_all
        _live.add(self)

    def claim(self, place: dict[str, weakref.ref[Run]]) -> bool:
        """Take a place that only one run at a time may have, until this one is over; False when it is taken."""

        def leave(lost: weakref.ref[Run]) -> None:
            if place.get(_PLACE) is lost:
                place.pop(_PLACE, None)

        mine = weakref.ref(self, leave)
        if place.setdefault(_PLACE, mine) is not mine:  # one step, which no other thread and no signal divides
            return False
        self._parts.place = place
        return True

    def start(self, request: dict[str, Any], loop: asyncio.AbstractEventLoop | None) -> None:
        """Start the command, and those who answer.

        Args:
            loop: where asynchronous handlers are awaited; None makes a loop.
        """
        chains, threads = self._supervision.chains, self._supervision.threads
        request["workers"] = threads
        request["chains"] = [_chain_request(number, chain) for number, chain in chains.items()]
        try:
            self._core.core_Start(self._handle, encode(request))
        except RuntimeError as error:
            raise from_core(error) from None
        fd = self._core.core_Frame(self._handle)
        if fd < 0:
            return
        self._parts.frame = Frame(self._handle, fd)
        if any(chain.is_async for chain in chains.values()):
            from ._async import LoopSide  # asyncio is half of the package's import time

            self._parts.loop_side = LoopSide(self._handle, self._failures, self._held, loop)
        self._workers = Workers(
            self._handle, self._parts.frame, chains, self._failures, threads, self._parts.loop_side, self._held
        )

    @property
    def over(self) -> bool:
        """Whether nothing is left of the run."""
        return self._parts.ended

    def close(self) -> None:
        """Kill what still runs and free everything; closing again does nothing."""
        self._parts.end()

    @property
    def pid(self) -> int:
        """The command's process ID, or 0 when it could not be executed."""
        return int(self._core.core_PID(self._handle))

    def held(self) -> list[HandlerCtx]:
        """Return the calls that a handler holds."""
        if self.over:
            return []
        waiting = set(json.loads(self._core.core_Held(self._handle)))
        return [ctx for id, ctx in list(self._held.items()) if id in waiting]

    def answer(self, id: int, action: NotifAction) -> bool:
        """Answer a held call; False when it is over, or was answered before."""
        if id not in self._held or self.over:
            return False
        source = action._source
        value = action._value if source is None else source.take()
        try:
            code = self._core.core_Complete(self._handle, id, action._kind, action._operand, value)
        except RuntimeError as error:
            raise from_core(error) from None
        finally:
            if source is not None:
                source.close()
        if code >= 0 and action._on_success is not None:
            action._on_success(code)
        return bool(code >= -1)

    def kill(self) -> None:
        """End the command and its whole tree."""
        with contextlib.suppress(RuntimeError):
            self._core.core_Kill(self._handle)

    def abandon(self) -> None:
        """Leave the answers to the constant actions, and no thread of Python in Go."""
        self._abandoned.set()
        with contextlib.suppress(RuntimeError):
            self._core.core_Abandon(self._handle)
            self._core.core_Wake(self._handle)
        if self._workers is not None:
            self._workers.join(deciders=False)

    def wait(self) -> None:
        """Feed and capture the pipes until the tree is gone. A KeyboardInterrupt comes through."""
        while not self._core.core_Serve(self._handle):
            # A signal came: Python runs its handler here. Or the interpreter is about to end, and this thread with it.
            if self._abandoned.is_set():
                threading.Event().wait()

    def finish(self) -> Result:
        """Wait for the end, free everything and return the result.

        Raises:
            SandboxError: sandlock itself failed.
            BaseException: what a handler raised that is no Exception.
        """
        try:
            self.wait()
        except BaseException:
            self.kill()
            self.wait()
            raise
        finally:
            if self._parts.loop_side is not None:
                self._parts.loop_side.close()
            result = self._release()
        return self._checked(result)

    async def afinish(self) -> Result:
        """Do as :meth:`finish` without blocking the event loop. A cancellation ends the command."""
        import asyncio

        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()

        def announce() -> None:
            if not over.done():
                over.set_result(None)

        def wait() -> None:
            self.wait()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(announce)

        waiter = threading.Thread(target=wait, name="sandlock-wait", daemon=True)
        waiter.start()
        try:
            await asyncio.shield(over)
        except BaseException:
            self.kill()
            waiter.join()
            raise
        finally:
            waiter.join()
            if self._parts.loop_side is not None:
                await self._parts.loop_side.aclose()
            result = self._release()
        return self._checked(result)

    def _checked(self, result: Result) -> Result:
        reraised = self._failures.first_base_exception()
        if reraised is not None:
            raise reraised
        return result

    def _release(self) -> Result:
        extension, handle = self._core, self._handle
        try:
            if self._workers is not None:
                self._workers.join()
            if self._parts.frame is not None:
                self._parts.frame.close()
            outcome = json.loads(extension.core_Outcome(handle))
            self._note_expired()
            return Result(
                success=outcome["reason"] == ExitReason.EXITED and outcome["exit_code"] == 0,
                exit_code=outcome["exit_code"],
                stdout=self._output(1),
                stderr=self._output(2),
                error=outcome["error"] or None,
                reason=ExitReason(outcome["reason"]),
                signal=outcome["signal"] or -1,
                handler_errors=list(self._failures),
            )
        except RuntimeError as error:
            raise from_core(error) from None
        finally:
            self.close()

    def _note_expired(self) -> None:
        for syscall, pid in json.loads(self._core.core_Expired(self._handle)):
            chain = self._supervision.chains[syscall]
            link = next(link for link in chain.links if link.timeout is not None)
            error = TimeoutError(f"no decision within the time limit of {link.timeout} s")
            self._failures.append(HandlerFailure(link.handler, syscall, pid, error, chain.constant))

    def _output(self, stream: int) -> bytes:
        extension = self._core
        data = extension.core_Output(self._handle, stream)
        extension.IncRef(data)
        try:
            return bytes(extension.Slice_byte_to_bytes(data))
        finally:
            extension.DecRef(data)


def _chain_request(number: int, chain: Chain) -> dict[str, Any]:
    constant = chain.constant
    return {
        "syscall": str(number),
        "fallback": [constant._kind, constant._operand, constant._value],
        "timeout": chain.links[0].timeout,
    }
