"""Copying what a Python object reads into a command's stdin."""

from __future__ import annotations

import contextlib

from ._extension import core
from ._threads import Thread, start
from .stdio import Readable

__all__ = ["Feeder"]

_CHUNK = 1 << 16
_PATIENCE = 1.0  # seconds for a read that is under way when nobody wants more


class Feeder:
    """A thread that copies until the end of either side; what goes wrong in the object ends the run.

    Args:
        run: the handle of the run in Go.
    """

    def __init__(self, run: int, source: Readable) -> None:
        self._errors: list[BaseException] = []
        # No method: the thread must not refer to who is to be lost when nobody else does.
        self._thread = Thread(target=_feed, args=(run, source, self._errors), name="sandlock-feed")
        start(self._thread)

    def join(self) -> None:
        """Wait for the thread, but not for ever where the object blocks.

        Raises:
            BaseException: what the object raised.
        """
        self._thread.join(_PATIENCE)
        if self._errors:
            raise self._errors[0]


def _feed(run: int, source: Readable, errors: list[BaseException]) -> None:
    try:
        try:
            fd = core().core_TakeStream(run, 0)
        except RuntimeError:  # the run was over before this thread began
            return
        if fd < 0:  # the command was not found
            return
        with contextlib.suppress(BrokenPipeError), open(fd, "wb") as pipe:
            while chunk := source.read(_CHUNK):
                if not isinstance(chunk, (bytes, bytearray, memoryview)):
                    raise TypeError(f"stdin: read() of {source!r} gave {type(chunk).__name__}, not bytes")
                pipe.write(chunk)
                pipe.flush()
    except BaseException as error:
        errors.append(error)
        with contextlib.suppress(RuntimeError):
            core().core_Kill(run)
