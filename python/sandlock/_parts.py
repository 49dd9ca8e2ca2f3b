"""What a run consists of, and how it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._extension import core
from ._frame import Frame
from ._threads import GRACE
from ._workers import Workers
from .exceptions import from_core

if TYPE_CHECKING:
    from ._async import LoopSide
    from ._run import Run

__all__ = ["Parts", "Place"]

_log = logging.getLogger("sandlock")

Place = dict[str, "weakref.ref[Run]"]
"""Where one run at a time may be, and is found."""

_KEY = "run"
_places = threading.RLock()  # where nothing else makes two steps one


@dataclass
class Parts:
    """What a run consists of, and how it ends. It does not refer to the Run, whose loss ends it."""

    handle: int
    owner: int = field(default_factory=os.getpid)
    frame: Frame | None = None
    workers: Workers | None = None
    loop_side: LoopSide | None = None
    input: tuple[int, int, int] | None = None  # a descriptor, and of what: device and inode
    place: Place = field(default_factory=dict)
    claim: weakref.ref[Run] | None = None
    ended: bool = False

    def take(self, place: Place, run: Run) -> bool:
        """Take a place; False when another run has it."""
        mine = weakref.ref(run)
        self.place, self.claim = place, mine
        return place.setdefault(_KEY, mine) is mine  # one step, which no other thread and no signal divides

    def leave(self) -> None:
        """Give up the place that the run has taken, if any."""
        with _places:
            if self.claim is not None and self.place.get(_KEY) is self.claim:
                del self.place[_KEY]

    def dismiss(self) -> None:
        """Let Python give no more answers."""
        if self.workers is not None:
            self.workers.dismiss()
        if self.loop_side is not None:
            self.loop_side.dismiss()

    @property
    def at_work(self) -> bool:
        """Whether a handler still runs on a worker thread."""
        return self.workers is not None and not self.workers.join(0)

    def own_input(self, fd: int) -> None:
        """Note the descriptor that the command's input is written to."""
        self.input = fd, *_identity(fd)

    def disown(self) -> None:
        """Leave the run to the parent process: this one has been forked."""
        self.dismiss()
        if self.input is not None:
            fd, *identity = self.input
            with contextlib.suppress(OSError):  # closed before the fork
                if _identity(fd) == tuple(identity):
                    os.close(fd)  # else the command would wait for more

    def end(self) -> None:
        """End the run, in the process that made it. Where an exception has interrupted it, the next call goes on."""
        if self.ended or os.getpid() != self.owner:
            return
        self.dismiss()
        if self.frame is not None:
            self.frame.revoke()
        try:
            core().core_Close(self.handle)
        except RuntimeError as error:
            _log.error("ending a run: %s", from_core(error))
        if self.loop_side is not None:
            self.loop_side.close(GRACE)
        if self.frame is not None and (self.workers is None or self.workers.join(GRACE)):
            self.frame.close()
        self.leave()
        self.ended = True


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
