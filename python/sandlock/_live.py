"""The runs of this process: what becomes of them when the interpreter ends, or the process is forked."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._run import Run

__all__ = ["note"]

_live: set[weakref.ref[Run]] = set()  # no WeakSet: other threads add to it during a look


def note(run: Run) -> None:
    """Let a run be found as long as somebody has it."""
    _live.add(weakref.ref(run, _live.discard))


def _runs() -> list[Run]:
    return [run for run in (reference() for reference in list(_live)) if run is not None]


@atexit.register
def _abandon_all() -> None:
    """Take the answers away from Python before it is finalized.

    A thread that comes back from Go into a finalizing interpreter hangs or crashes. So every run is answered by its
    constant actions from here on, and no thread stays in Go; the end of the process ends the commands.
    """
    for run in _runs():
        run.abandon()


def _disown_all() -> None:
    """Leave the runs to the process that has forked this one."""
    for run in _runs():
        run.disown()
    _live.clear()


os.register_at_fork(after_in_child=_disown_all)
