"""One run of a sandbox: the command in Go, those who answer in Python, and how both come to their end."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._async import LoopSide
from ._chain import Chain
from ._decision import Failures
from ._extension import core
from ._request import encode
from ._workers import Workers
from .actions import NotifAction
from .errors import from_core
from .handler import HandlerCtx
from .result import ExitReason, HandlerFailure, Result

__all__ = ["Run", "Supervision"]

_live: weakref.WeakSet[Run] = weakref.WeakSet()

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


class Run:
    """A started command. :meth:`finish` or :meth:`afinish` must be called, whatever happens."""

    def __init__(
        self, request: dict[str, Any], supervision: Supervision, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._core = core()
        self._chains = supervision.chains
        self._failures = Failures()
        self._workers: Workers | None = None
        self._loop_side: LoopSide | None = None
        self._abandoned = threading.Event()
        self._over = False
        request["workers"] = supervision.threads
        request["chains"] = [_chain_request(number, chain) for number, chain in self._chains.items()]
        try:
            self._handle: int = self._core.core_Start(encode(request))
        except RuntimeError as error:
            raise from_core(error) from None
        _live.add(self)
        try:
            self._supervise(supervision.threads, loop)
        except BaseException:
            self.kill()
            self.finish()
            raise

    def _supervise(self, threads: int, loop: asyncio.AbstractEventLoop | None) -> None:
        frame = self._core.core_Frame(self._handle)
        if frame < 0:
            return
        if any(chain.is_async for chain in self._chains.values()):
            self._loop_side = LoopSide(self._handle, self._failures, self._hold, loop)
        self._workers = Workers(self._handle, frame, self._chains, self._failures, threads, self._loop_side, self.kill)

    def _hold(self, ctx: HandlerCtx) -> None:
        assert self._workers is not None
        self._workers.held[ctx.id] = ctx

    @property
    def pid(self) -> int:
        """The command's process ID, or 0 when it could not be executed."""
        return int(self._core.core_PID(self._handle))

    def held(self) -> list[HandlerCtx]:
        """Return the calls that a handler holds."""
        if self._workers is None or self._over:
            return []
        waiting = set(json.loads(self._core.core_Held(self._handle)))
        return [ctx for id, ctx in list(self._workers.held.items()) if id in waiting]

    def answer(self, id: int, action: NotifAction) -> bool:
        """Answer a held call; False when it is over, or was answered before."""
        ctx = self._workers.held.get(id) if self._workers is not None else None
        if ctx is None or self._over:
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
            if not self._over:
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
            if self._loop_side is not None:
                self._loop_side.close()
            result = self._release()
        return self._checked(result)

    async def afinish(self) -> Result:
        """Do as :meth:`finish` without blocking the event loop. A cancellation ends the command."""
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
            if self._loop_side is not None:
                await self._loop_side.aclose()
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
                self._workers.close()
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
            self._over = True
            _live.discard(self)
            extension.core_Close(handle)

    def _note_expired(self) -> None:
        for syscall, pid in json.loads(self._core.core_Expired(self._handle)):
            chain = self._chains[syscall]
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
