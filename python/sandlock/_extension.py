"""The one door to the Go extension.

The Go runtime costs some 30 ms and a few threads, so the first use loads it, not the import of the package. It does not
survive a fork: in the child its threads are gone, and a call would wait for them for ever.
"""

from __future__ import annotations

import functools
import os
from types import ModuleType

from .errors import ForkError

__all__ = ["core"]

_loaded_in = 0


@functools.cache
def _load() -> ModuleType:
    global _loaded_in
    from . import _core

    _loaded_in = os.getpid()
    return _core


def core() -> ModuleType:
    """Return the extension, loading it if need be.

    Raises:
        ForkError: this process was forked from one that had used sandlock already.
    """
    extension = _load()
    if _loaded_in != os.getpid():
        raise ForkError(
            "sandlock was in use when this process was forked, and cannot be used in the child; "
            "fork before the first use, or start the child with the 'spawn' method of multiprocessing"
        )
    return extension
