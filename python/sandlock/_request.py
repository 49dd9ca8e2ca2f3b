"""From Python values to the request that Go decodes: JSON in which each character of a string is one byte."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

from .errors import PolicyError

__all__ = ["Command", "StrPath", "command_arguments", "encode", "text"]

StrPath = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Command = Sequence[StrPath]


def text(name: str, value: object) -> str:
    """Return the bytes of a path or a string, in the form that a request has."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise PolicyError(f"{name}: {value!r} is no str, bytes or path")
    try:
        return os.fsencode(value).decode("latin-1")
    except UnicodeEncodeError as error:
        raise PolicyError(f"{name}: {value!r} cannot be encoded for the file system: {error}") from None


def texts(name: str, values: object) -> list[str]:
    if isinstance(values, (str, bytes, os.PathLike)) or not isinstance(values, Iterable):
        raise PolicyError(f"{name}: {values!r} is no list; for a single entry write [{values!r}]")
    return [text(f"{name}[{i}]", value) for i, value in enumerate(values)]


def ports(name: str, values: object) -> list[str]:
    """Return ports and ranges of ports as text; the grammar is Go's."""
    if isinstance(values, (int, str, bytes)) or not isinstance(values, Iterable):
        raise PolicyError(f"{name}: {values!r} is no list; for a single entry write [{values!r}]")
    return [
        str(value) if isinstance(value, int) and not isinstance(value, bool) else text(f"{name}[{i}]", value)
        for i, value in enumerate(values)
    ]


def plain(name: str, value: object) -> Any:
    """Return a value that JSON has a form for; whether it is right is Go's to judge."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        return [plain(f"{name}[{i}]", item) for i, item in enumerate(value)]
    if isinstance(value, str):
        return text(name, value)
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise PolicyError(f"{name}: {value!r} is a {type(value).__name__}; write numbers")


def mapping(name: str, values: object) -> dict[str, str]:
    if not isinstance(values, Mapping):
        raise PolicyError(f"{name}: {values!r} is no mapping of names to values")
    return {text(f"{name}: name", k): text(f"{name}[{k!r}]", v) for k, v in values.items()}


def command_arguments(cmd: object) -> list[str]:
    """Return argv; a single string is refused, since no shell is there to split it."""
    if isinstance(cmd, (str, bytes, os.PathLike)):
        raise PolicyError(f'cmd: {cmd!r} is no list; write [{cmd!r}], or ["sh", "-c", {cmd!r}] for a shell')
    arguments = texts("cmd", cmd)
    if not arguments:
        raise PolicyError("cmd: the list is empty; give the program and its arguments")
    return arguments


def environment() -> str:
    """Return the host's environment as it is now: the Go runtime only knows the one of the process's start."""
    # The mapping behind os.environ, where it can be had: to iterate over os.environ itself takes four times as long.
    variables: Mapping[bytes, bytes] = getattr(os.environb, "_data", os.environb)
    pairs = [name + b"=" + value + b"\0" for name, value in list(variables.items())]
    return b"".join(pairs).decode("latin-1")


def encode(request: dict[str, Any]) -> str:
    return json.dumps(request)
