"""Feeding and capturing the pipes of a run until its tree is gone, by whoever waits for it or by a thread."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from ._extension import core
from ._threads import TICK, Thread, start

__all__ = ["Serving"]

# How often an abandoned run is looked after, in seconds.
_ABANDONED_TICK = 0.01


class Serving:
    """Who serves a run. It does not refer to the Run, whose loss ends it.

    Args:
        run: the handle of the run in Go.
    """

    def __init__(self, run: int) -> None:
        self._run = run
        self._thread: threading.Thread | None = None
        # Each held by who is in Go until the command ends: the caller and the thread. An exception may come before any
        # line, so that one that the caller has left taken must not stop the thread.
        self._in_go, self._thread_in_go = threading.RLock(), threading.RLock()
        self.gone = threading.Event()
        """Set when a thread has seen the end of the tree."""
        self.abandoned = False
        """Whether the interpreter is about to end."""

    def serve(self) -> None:
        """Serve until the tree is gone. A KeyboardInterrupt comes through."""
        self._serve(self._in_go)

    def _serve(self, in_go: Any) -> None:
        most = int(TICK * 1000) if threading.current_thread() is threading.main_thread() else 0
        while True:
            with in_go:
                ended = core().core_Serve(self._run, most)
            if ended:
                return
            # A signal came: Python runs its handler here. Or the interpreter is about to end.
            if self.abandoned:
                time.sleep(_ABANDONED_TICK)

    @contextlib.contextmanager
    def nobody_in_go(self) -> Iterator[None]:
        """Wait until nobody is in Go for the run, which was killed or woken, and keep it so."""
        with self._in_go, self._thread_in_go:
            yield

    def begin(self, then: Callable[[], None]) -> None:
        """Serve on a thread from now on, which calls ``then`` when the tree is gone."""
        if self._thread is None:
            thread = Thread(target=self._serve_aside, args=(then,), name="sandlock-wait")
            start(thread)
            self._thread = thread

    def _serve_aside(self, then: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the run was closed meanwhile
            self._serve(self._thread_in_go)
        self.gone.set()
        then()

    def wait(self, timeout: float | None = None) -> bool:
        """Serve, or wait for the thread that does; False when that has not ended by the end of the timeout."""
        if self._thread is None:
            self.serve()
            return True
        return self.join(timeout)

    def join(self, timeout: float | None) -> bool:
        """Wait for the thread, if there is one and it is not this one; False when it goes on."""
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))
        return not self._thread.is_alive()
