"""What the sources of a gather have written, for its consumer.

>>> from sandlock import inputs
>>> inputs["log"]

is all that the source ``log`` writes, as text; bytes that are not UTF-8 come as lone surrogates, which ``os.fsencode``
turns into the bytes again. The module is a mapping; it is empty in a process that consumes nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import cast

__all__ = ["VARIABLE", "Inputs", "inputs"]

VARIABLE = "_SANDLOCK_GATHER"
"""The environment variable with ``name:descriptor`` pairs, separated by commas."""

_texts: dict[str, str] = {}  # what has been read: a pipe gives it once


class Inputs(ModuleType, Mapping[str, str]):
    """The inputs by name. The first look at one reads it to its end."""

    def __getitem__(self, name: str) -> str:
        if name not in _texts:
            descriptors = _descriptors()
            if name not in descriptors:
                known = ", ".join(map(repr, descriptors)) or "none: the process is no consumer of a gather"
                raise KeyError(f"no input {name!r}; there are {known}")
            fd = descriptors[name]
            with open(fd, encoding="utf-8", errors="surrogateescape", newline="", closefd=fd > 2) as file:
                _texts[name] = file.read()
        return _texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_descriptors())

    def __len__(self) -> int:
        return len(_descriptors())

    def __bool__(self) -> bool:
        return True  # a module is

    __hash__ = ModuleType.__hash__
    __eq__ = ModuleType.__eq__


def _descriptors() -> dict[str, int]:
    pairs = (pair.rpartition(":") for pair in os.environ.get(VARIABLE, "").split(",") if pair)
    return {name: int(fd) for name, _, fd in pairs}


inputs = cast(Inputs, sys.modules[__name__])
inputs.__class__ = Inputs
