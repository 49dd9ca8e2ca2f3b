"""The arguments of the calls that execute programs."""

from __future__ import annotations

import sys

from ._syscalls import numbers_of
from .context import HandlerCtx

__all__ = ["EXECUTION_CALLS", "arguments"]

EXECUTION_CALLS = ("execve", "execveat")

# execve(2) takes more; what is beyond is left out.
_MOST = 1024
_LONGEST = 4095


def arguments(ctx: HandlerCtx) -> tuple[str, ...]:
    """Read argv as far as it can be read."""
    address = ctx.args[2 if [ctx.syscall_nr] == numbers_of(("execveat",)) else 1]
    found: list[str] = []
    while address and len(found) < _MOST:
        pointer = ctx.read(address + 8 * len(found), 8)
        if pointer is None or pointer == bytes(8):
            break
        argument = ctx.read_cstr(int.from_bytes(pointer, sys.byteorder), _LONGEST)
        if argument is None:
            break
        found.append(argument)
    return tuple(found)
