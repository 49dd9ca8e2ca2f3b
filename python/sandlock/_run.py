"""One run of a sandbox: the command in Go, the threads that answer in Python, and how both come to their end."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import mmap
import threading
import weakref
from typing import Any

from ._decision import Chains, Failures, decide
from ._extension import core
from ._frame import ChildMemory, Slot
from ._request import encode
from .errors import from_core
from .handler import HandlerCtx
from .result import ExitReason, Result

__all__ = ["Run"]

_log = logging.getLogger("sandlock")

# A leader that receives and decides, and a follower that takes over when a decision takes long.
WORKERS = 2

_live: weakref.WeakSet[Run] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """End what runs: a worker thread that came back from Go into a finalizing interpreter would hang or crash."""
    for run in list(_live):
        run.kill()
        run.join()


class Run:
    """A started command. :meth:`finish` must be called, whatever happens."""

    def __init__(self, request: dict[str, Any], chains: Chains) -> None:
        self._core = core()
        self._chains = chains
        self._failures = Failures()
        self._threads: list[threading.Thread] = []
        request["workers"] = WORKERS
        request["chains"] = [{"syscall": str(number), "fallback": 0} for number in chains]
        try:
            self._handle: int = self._core.core_Start(encode(request))
        except RuntimeError as error:
            raise from_core(error) from None
        _live.add(self)
        try:
            self._start_workers()
        except BaseException:
            self.kill()
            self.finish()
            raise

    @property
    def pid(self) -> int:
        """The command's process ID, or 0 when it could not be executed."""
        return int(self._core.core_PID(self._handle))

    def _start_workers(self) -> None:
        fd = self._core.core_Frame(self._handle)
        if fd < 0:
            return
        frame = mmap.mmap(fd, 0)
        for index in range(WORKERS):
            thread = threading.Thread(
                target=self._work,
                args=(index, Slot(frame, index)),
                name=f"sandlock-{index}",
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def _work(self, index: int, slot: Slot) -> None:
        """Answer notifications until there are no more. A worker that fails takes the command with it."""
        following, handle = self._core.core_Next, self._handle
        notification, answer = slot.notification, slot.answer
        chains, failures = self._chains, self._failures
        memory = ChildMemory(handle, index, slot)
        try:
            while following(handle, index):
                snapshot = notification()
                action = decide(chains[snapshot[3]], HandlerCtx(memory, snapshot), failures)
                if action._kind:
                    answer(action._kind, action._operand, action._value)
        except BaseException:
            _log.critical("a worker thread of sandlock failed; its command is killed", exc_info=True)
            self.kill()

    def kill(self) -> None:
        """End the command and its whole tree."""
        with contextlib.suppress(RuntimeError):
            self._core.core_Kill(self._handle)

    def join(self) -> None:
        """Wait for the worker threads, which end with the command."""
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join()

    def wait(self) -> None:
        """Feed and capture the pipes until the tree is gone. A KeyboardInterrupt comes through."""
        while not self._core.core_Serve(self._handle):
            pass  # a signal came: Python runs its handler here

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
            result = self._release()
        reraised = self._failures.first_base_exception()
        if reraised is not None:
            raise reraised
        return result

    def _release(self) -> Result:
        extension, handle = self._core, self._handle
        try:
            outcome = json.loads(extension.core_Outcome(handle))
            self.join()
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
            self.join()
            _live.discard(self)
            extension.core_Close(handle)

    def _output(self, stream: int) -> bytes:
        extension = self._core
        data = extension.core_Output(self._handle, stream)
        extension.IncRef(data)
        try:
            return bytes(extension.Slice_byte_to_bytes(data))
        finally:
            extension.DecRef(data)
