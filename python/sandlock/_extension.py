"""The one door to the Go extension.

The Go runtime costs some 30 ms and a few threads, so the first use loads it, not the import of the package. It does not
survive a fork: in the child its threads are gone, and a call would wait for them for ever.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
from collections.abc import Iterator
from types import ModuleType

from .exceptions import ForkError

__all__ = ["core"]

_used_in = 0


@functools.cache
def _load() -> ModuleType:
    global _used_in
    _used_in = os.getpid()  # before it is true: another thread may fork meanwhile
    with _as_it_was():
        from . import _core

        _core.core_PathCount(0)  # the runtime starts on a thread of its own; a call waits until it is up
    return _core


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Undo what the Go runtime does to the process when it is loaded.

    It raises the soft limit of open files to the hard one, and keeps files open: where the process has closed one of
    its standard streams, they must not take its number.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:
        while (fd := os.open(os.devnull, os.O_RDWR)) < 3:
            taken.append(fd)
        os.close(fd)
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def core() -> ModuleType:
    """Return the extension, loading it if need be.

    Raises:
        ForkError: this process was forked from one that had used sandlock already.
    """
    if _used_in not in (0, os.getpid()):
        raise ForkError(
            "sandlock was in use when this process was forked, and cannot be used in the child; "
            "fork before the first use, or start the child with the 'spawn' method of multiprocessing"
        )
    return _load()
