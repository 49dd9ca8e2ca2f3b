"""Temporary folders that do not outlive their process for long: what a killed one has left the next one removes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from pathlib import Path

from ._emptying import empty

__all__ = ["TemporaryFolder"]

_PREFIX = "sandlock-run-"
_LOCK = ".sandlock-lock"

# How old a folder must be, in seconds, before it can be taken for one that was left: it has its lock by then.
_STALE_AFTER = 60.0


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A temporary directory with a file in it that its process keeps locked."""

    def __init__(self) -> None:
        for folder in Path(tempfile.gettempdir()).glob(_PREFIX + "*"):
            with contextlib.suppress(OSError):  # another user's, in use, or just removed by somebody else
                _remove_stale(folder)
        super().__init__(prefix=_PREFIX)
        self._lock = os.open(Path(self.name, _LOCK), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def cleanup(self) -> None:
        if os.path.isdir(self.name):
            empty(self.name)
        super().cleanup()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _remove_stale(folder: Path) -> None:
    """Remove a folder of this user's whose file nobody has locked."""
    status = folder.lstat()
    if status.st_uid != os.geteuid() or time.time() - status.st_mtime < _STALE_AFTER:
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        empty(folder)
        folder.rmdir()
    finally:
        os.close(lock)
