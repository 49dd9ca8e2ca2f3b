"""Starting the threads of a run."""

from __future__ import annotations

import sys
import threading

from .errors import SandboxError

__all__ = ["GRACE", "start"]

GRACE = 1.0
"""Seconds that a run which was interrupted, or the interpreter's end, waits for a handler that is still at work."""


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
