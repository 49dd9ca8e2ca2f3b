"""One run of a sandbox: the command in Go, those who answer in Python, and how both come to their end."""

from __future__ import annotations

import contextlib
import signal
import weakref
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _live
from ._chain import Chain
from ._decision import Failures
from ._extension import core
from ._feeder import Feeder
from ._frame import Frame
from ._held import HeldCalls
from ._outcome import result_of
from ._parts import Parts, Place
from ._request import encode, environment
from ._serving import Serving
from ._threads import GRACE
from ._workers import Workers
from .actions import NotifAction
from .exceptions import OverError, SandboxError, SandlockError, from_core
from .handler import HandlerCtx
from .kernel import degraded
from .protection import Protection
from .result import Result
from .stdio import Readable

if TYPE_CHECKING:
    import asyncio

    from .policy_fn import PolicyContext


__all__ = ["Run", "Supervision"]

# Seconds that a command has after a Ctrl-C before it is killed; the same as in the subprocess module.
_LAST_WORDS = 0.25


@dataclass(frozen=True)
class Supervision:
    """Who answers in Python, and how."""

    chains: Mapping[int, Chain]
    threads: int
    policy: PolicyContext | None = None
    """What a policy function may restrict."""


class Run:
    """A command. :meth:`close` ends it, and so does losing the last reference to it: an exception may come at any line.

    What works for a run while it is under way, threads above all, must not refer to it.
    """

    def __init__(self, supervision: Supervision) -> None:
        self._supervision = supervision
        self._failures = Failures()
        self._feeder: Feeder | None = None
        self._result: Result | SandlockError = SandboxError("the run was closed before its result was asked for")
        self._pid = 0
        self._degraded: list[Protection] = []
        self.waiting = False
        """Whether the command waits to be released before it executes its program."""
        self.independent = False
        """Whether it belongs to a Process of the user's."""
        self._handle: int = core().core_New()
        if supervision.policy is not None:
            supervision.policy._bind(self._handle)
        self._held = HeldCalls(self._handle, supervision.chains, self._failures)
        self._parts = Parts(self._handle)
        self._serving = Serving(self._handle)
        self._at_loss = weakref.finalize(self, self._parts.end)
        self._at_loss.atexit = False  # see _abandon_all
        _live.note(self)

    def claim(self, place: Place) -> bool:
        """Take a place that only one run at a time may have, until this one is over; False when it is taken."""
        return self._parts.take(place, self)

    def start(self, request: dict[str, Any], loop: asyncio.AbstractEventLoop | None) -> None:
        """Start the command, and those who answer.

        Args:
            loop: where asynchronous handlers are awaited; None makes a loop.
        """
        chains, threads = self._supervision.chains, self._supervision.threads
        request["workers"] = threads
        request["narrow"] = self._supervision.policy is not None
        request["chains"] = [_chain_request(number, chain) for number, chain in chains.items()]
        try:
            core().core_Start(self._handle, encode(request), environment())
        except RuntimeError as error:
            raise from_core(error) from None
        if "input" in request and (fd := core().core_Input(self._handle)) >= 0:
            self._parts.own_input(fd)
        if "allow_degraded" in request["policy"]:
            self._degraded = degraded(self._handle)
        self._pid = int(core().core_PID(self._handle))
        self.waiting = request["held"]
        fd = core().core_Frame(self._handle)
        if fd < 0:
            return
        self._parts.frame = Frame(self._handle, fd)
        if any(chain.is_async for chain in chains.values()):
            from ._async import LoopSide  # asyncio is half of the package's import time

            self._parts.loop_side = LoopSide(self._handle, self._failures, self._held, threads, loop)
        self._parts.workers = Workers(
            self._handle, self._parts.frame, chains, self._failures, threads, self._parts.loop_side, self._held
        )
        self._parts.workers.start()  # now that a fork in a handler, or the end of the interpreter, finds them

    @property
    def over(self) -> bool:
        """Whether nothing is left of the run."""
        return self._parts.ended

    def close(self) -> None:
        """Kill what still runs and free everything; closing again does nothing.

        A handler that is still at work is waited for, but not for ever. What it returns later is discarded.
        """
        if self.over:
            return
        self.kill()
        with self._serving.nobody_in_go():
            self._parts.end()
        if not self._parts.at_work:  # else that thread waits for the handlers that were waited for just now
            self._serving.join(GRACE)
        self._at_loss.detach()  # it keeps the parts, and through the errors of handlers perhaps this run

    @property
    def pid(self) -> int:
        """The command's process ID, or 0 when it could not be executed."""
        core()  # refuses a forked process, whose command it is not
        return self._pid

    def held(self) -> list[HandlerCtx]:
        """Return the calls that a handler holds."""
        return self._held.waiting()

    def answer(self, call: HandlerCtx | int, action: NotifAction) -> bool:
        """Answer a held call; False when it is over, or was answered before."""
        return self._held.answer(call, action)

    def kill(self) -> None:
        """End the command and its whole tree."""
        extension = core()
        self.waiting = False
        with contextlib.suppress(RuntimeError):
            extension.core_Kill(self._handle)

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the command, or to the process group that it leads."""
        self._tell(core().core_Signal, number, group)

    def pause(self, paused: bool) -> None:
        """Stop the whole tree, or let it go on."""
        self._tell(core().core_Pause, paused)

    def release(self) -> None:
        """Let a command go on that waits."""
        self.waiting = False
        self._tell(core().core_Release)

    def _tell(self, call: Callable[..., bool], *arguments: int) -> None:
        """Call the extension for a run that may be over by now."""
        try:
            call(self._handle, *arguments)
        except RuntimeError as error:
            fault = from_core(error)
            if not isinstance(fault, OverError):
                raise fault from None

    def take_stream(self, number: int) -> int:
        """Return the descriptor of the other end of a stream, which is the caller's from now on, or -1."""
        return int(core().core_TakeStream(self._handle, number))

    def feed(self, source: Readable) -> None:
        """Copy what an object reads into a stdin that is a stream."""
        self._feeder = Feeder(self._handle, source)

    def abandon(self) -> None:
        """Leave the answers to the constant actions, and no thread of Python waiting in Go."""
        self._serving.abandoned = True
        self._parts.dismiss()
        extension = core()
        with contextlib.suppress(RuntimeError):
            extension.core_Abandon(self._handle)
            extension.core_Wake(self._handle)
        if self._parts.workers is not None:
            self._parts.workers.join(0)
        with self._serving.nobody_in_go():  # who served has left Go
            pass

    def disown(self) -> None:
        """Leave the run to the parent process: this one has been forked."""
        self._parts.disown()

    def serve(self, then: Callable[[], None] | None = None) -> None:
        """Feed and capture the pipes on a thread of its own from now on, which calls ``then`` when all is over."""
        parts, serving = self._parts, self._serving  # the thread must not refer to the run

        def end() -> None:
            parts.leave()
            if parts.workers is not None:  # not in the event loop, which handlers may need
                parts.workers.join(GRACE if serving.abandoned else None)
            if then is not None:
                then()

        serving.begin(end)

    def aserve(self) -> asyncio.Event:
        """Do as :meth:`serve`, and return an event of the running loop that is set when all is over."""
        import asyncio

        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def announce() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(over.set)

        self.serve(announce)
        return over

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the tree is gone; False when it is not by the end of the timeout, which needs :meth:`serve`.

        A KeyboardInterrupt comes through.
        """
        return self._serving.wait(timeout)

    def interrupt(self) -> None:
        """Do for a command, which is out of the terminal's reach, as a terminal does for Ctrl-C; wait a moment."""
        self.signal(signal.SIGINT, group=True)
        self.serve()
        self.wait(_LAST_WORDS)

    def finish(self) -> Result:
        """Wait for the end, free everything and return the result. When it raises, :meth:`close` is to be called.

        Raises:
            SandboxError: sandlock itself failed.
            BaseException: what a handler raised that is no Exception.
        """
        try:
            self.wait()
        except KeyboardInterrupt:
            self.interrupt()
            raise
        if self._parts.loop_side is not None:
            self._parts.loop_side.close(self._grace)
        self._join_workers()
        self._release()
        return self._checked()

    async def afinish(self, over: asyncio.Event) -> Result:
        """Do as :meth:`finish` without blocking the event loop. A cancellation ends the command.

        Args:
            over: the event of :meth:`aserve`.
        """
        loop_side = self._parts.loop_side
        try:
            await over.wait()
            if loop_side is not None:
                await loop_side.aclose()
        except GeneratorExit:  # nothing can be awaited any more
            self.kill()
            raise
        except BaseException:
            self.kill()
            await _see_through(self._wind_up(over))
            raise
        self.wait()
        self._release()
        return self._checked()

    async def _wind_up(self, over: asyncio.Event) -> None:
        """Wait for the end of a command that was killed, and a moment for handlers at work."""
        import asyncio

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), GRACE)
        if self._parts.loop_side is not None:
            await self._parts.loop_side.aclose(GRACE)

    @property
    def _grace(self) -> float | None:
        """How long to wait for handlers at work, in seconds."""
        return GRACE if self._serving.abandoned else None

    def _join_workers(self) -> None:
        if self._parts.workers is not None:
            self._parts.workers.join(self._grace)

    def _checked(self) -> Result:
        """Return the result, or raise what handlers or the input have raised."""
        reraised = self._failures.first_base_exception()
        if reraised is not None:
            raise reraised
        if self._feeder is not None:
            self._feeder.join()
        if isinstance(self._result, SandlockError):
            raise self._result
        return self._result

    def _release(self) -> None:
        """Keep the result, or the error that is there in its place, and free everything."""
        if self.over:
            return
        try:
            self._result = result_of(self._handle, self._supervision.chains, self._failures, self._held, self._degraded)
        except RuntimeError as error:
            self._result = from_core(error)
            raise self._result from None
        finally:
            self.close()


async def _see_through(coroutine: Coroutine[Any, Any, None]) -> None:
    """Await to the end, however often this is cancelled."""
    import asyncio

    task = asyncio.ensure_future(coroutine)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)


def _chain_request(number: int, chain: Chain) -> dict[str, Any]:
    constant = chain.constants[0]
    return {
        "syscall": str(number),
        "fallback": [constant._kind, constant._operand, constant._value],
        "timeout": chain.links[0].timeout,
        "optional": chain.optional,
    }
