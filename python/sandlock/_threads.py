"""The threads of a run."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable

from .exceptions import SandboxError

__all__ = ["GRACE", "TICK", "Thread", "start"]

GRACE = 1.0
"""Seconds that a run which was interrupted, or the interpreter's end, waits for a handler that is still at work."""

TICK = 0.1
"""Seconds after which a wait in the main thread looks around. The kernel may give a signal to another thread, and one
that comes just before the main thread sleeps does not wake it; Python's handlers run in the main thread alone."""


class Thread(threading.Thread):
    """A daemon thread whose join may be interrupted.

    In a process that it has forked its end is that of the process. Up to CPython 3.12 a thread counts as ended once a
    KeyboardInterrupt has come out of its join.
    """

    def __init__(self, *, target: Callable[..., object], name: str, args: tuple[object, ...] = ()) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)
        self._owner = os.getpid()
        self._over = threading.Event()

    def run(self) -> None:
        try:
            super().run()
        finally:
            if os.getpid() != self._owner:
                # A handler has forked, and only this thread is there. What ends a thread may wait for Go's others, and
                # what closes an event loop takes the parent's descriptors out of the epoll instance that both have.
                os._exit(0)
            self._over.set()

    def join(self, timeout: float | None = None) -> None:
        end = math.inf if timeout is None else time.monotonic() + timeout
        while self.is_alive() and not self._over.wait(max(0.0, min(TICK, end - time.monotonic()))):
            if time.monotonic() >= end:
                return
        super().join()

    def is_alive(self) -> bool:
        return self.ident is not None and not self._over.is_set() and os.getpid() == self._owner  # none in a fork


def start(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        SandboxError: there cannot be one more, or the interpreter is about to end.
    """
    reason = "the interpreter is about to end"
    if not sys.is_finalizing():  # up to CPython 3.11 the start would wait for ever then
        try:
            thread.start()
        except RuntimeError as error:  # from 3.12 on also at the interpreter's end
            reason = str(error)
        else:
            return
    raise SandboxError(f"a thread that the run needs cannot be started: {reason}; run() without handlers needs none")
