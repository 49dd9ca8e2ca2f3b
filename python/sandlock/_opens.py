"""The flags of the calls that open files."""

from __future__ import annotations

import functools
import sys

from ._syscalls import name_of
from .context import HandlerCtx

__all__ = ["open_flags"]

_FLAGS_ARGUMENTS = {"open": 1, "openat": 2}


@functools.cache
def _opening(number: int) -> str | None:
    """Return the name of a call that has flags as open(2) has them; None for others."""
    name = name_of(number)
    return name if name in (*_FLAGS_ARGUMENTS, "openat2") else None


def open_flags(ctx: HandlerCtx) -> int | None:
    """Return the flags of an open; None for other calls, and where they cannot be read."""
    name = _opening(ctx.syscall_nr)
    if name == "openat2":
        how = ctx.read(ctx.args[2], 8)  # struct open_how begins with the flags
        return None if how is None else int.from_bytes(how, sys.byteorder)
    return None if name is None else ctx.args[_FLAGS_ARGUMENTS[name]]
