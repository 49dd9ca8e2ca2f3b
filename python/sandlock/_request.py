"""From Python values to the request that Go decodes: JSON in which each character of a string is one byte."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Union

from .exceptions import PolicyError

__all__ = ["Command", "StrPath", "command_arguments", "encode", "environment", "text"]

StrPath = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Command = Sequence[StrPath]

_LONGEST = 200

_END = "\u0100"  # of a variable: no byte's character, and unlike NUL one that gopy passes


def text(name: str, value: object) -> str:
    """Return the bytes of a path or a string, in the form that a request has."""
    if type(value) is str and value.isascii():
        return value
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise PolicyError(f"{name}: {shown(value)} is no str, bytes or path")
    try:
        return os.fsencode(value).decode("latin-1")
    except UnicodeEncodeError:
        raise PolicyError(f"{name}: {shown(value)} cannot be encoded; give the bytes instead") from None


def shown(value: object) -> str:
    """Return a value as an error shows it: a message of 100 KiB helps nobody."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def texts(name: str, values: object) -> list[str]:
    entries = list(_entries(name, values, (str, bytes, os.PathLike)))
    if all(type(entry) is str and entry.isascii() for entry in entries):
        return entries  # what most lists are; each entry takes a microsecond otherwise
    return [text(f"{name}[{i}]", entry) for i, entry in enumerate(entries)]


def _entries(name: str, values: object, single: tuple[type, ...]) -> Iterable[Any]:
    """Return a list's entries, where a value of the types ``single`` is one without its list."""
    if isinstance(values, (list, tuple)):
        return values
    if isinstance(values, single):
        raise PolicyError(f"{name}: {shown(values)} is no list; for a single entry write [{shown(values)}]")
    if not isinstance(values, Iterable):
        raise PolicyError(f"{name}: {shown(values)} is no list; write [] for nothing")
    return values


def ports(name: str, values: object) -> list[str]:
    """Return ports and ranges of ports as text; the grammar is Go's."""
    texts = []
    for i, value in enumerate(_entries(name, values, (int, str, bytes))):
        if isinstance(value, bool) or not isinstance(value, (int, str, bytes)):
            raise PolicyError(f"{name}[{i}]: {shown(value)} is no port; write a number, or text as in '8000-8010'")
        texts.append(str(value) if isinstance(value, int) else text(f"{name}[{i}]", value))
    return texts


def plain(name: str, value: object) -> Any:
    """Return a value that JSON has a form for; whether it is right is Go's to judge."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        return [plain(f"{name}[{i}]", item) for i, item in enumerate(value)]
    if isinstance(value, str):
        return text(name, value)
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, float):
        raise PolicyError(f"{name}: {value!r} is no finite number; write numbers")
    raise PolicyError(f"{name}: {shown(value)} is of type {type(value).__name__}; write numbers")


def mapping(name: str, values: object) -> dict[str, str]:
    if not isinstance(values, Mapping):
        raise PolicyError(
            f"{name}: a {type(values).__name__} is no mapping of names to values; write {{'NAME': 'value'}}"
        )
    return {text(f"{name}: name", k): _secret(f"{name}[{k!r}]", v) for k, v in values.items()}


def _secret(name: str, value: object) -> str:
    """Do as :func:`text`, without a word about the value."""
    if not isinstance(value, (str, bytes, os.PathLike)):
        raise PolicyError(f"{name}: the value is of type {type(value).__name__}; write a str or bytes")
    try:
        return os.fsencode(value).decode("latin-1")
    except UnicodeEncodeError:
        raise PolicyError(f"{name}: the value cannot be encoded; give the bytes instead") from None


def moment(name: str, value: object) -> str:
    """Return a time as text; the grammar of one that is text already is Go's."""
    if isinstance(value, str):
        return text(name, value)
    if not isinstance(value, datetime):
        raise PolicyError(f'{name}: {shown(value)} is no datetime; write one, or text as in "2024-01-31T12:00:00Z"')
    if value.utcoffset() is None:
        raise PolicyError(f"{name}: {shown(value)} has no time zone; give it tzinfo=timezone.utc, for example")
    return value.astimezone(timezone.utc).isoformat()


def command_arguments(cmd: object) -> list[str]:
    """Return argv; a single string is refused, since no shell is there to split it."""
    if isinstance(cmd, (str, bytes, os.PathLike)):
        raise PolicyError(f'cmd: {cmd!r} is no list; write [{cmd!r}], or ["sh", "-c", {cmd!r}] for a shell')
    if not isinstance(cmd, Iterable):
        raise PolicyError(f"cmd: {shown(cmd)} is no list; give the program and its arguments")
    arguments = texts("cmd", cmd)
    if not arguments:
        raise PolicyError("cmd: the list is empty; give the program and its arguments")
    return arguments


def environment() -> str:
    """Return the host's environment as it is now, for Go: its runtime only knows the one of the process's start."""
    # The mapping behind os.environ, where it can be had: to iterate over os.environ itself takes four times as long.
    variables: Mapping[bytes, bytes] = getattr(os.environb, "_data", os.environb)
    pairs = [b"=".join(pair).decode("latin-1") for pair in list(variables.items())]
    return _END.join(pairs)


def encode(request: dict[str, Any]) -> str:
    return json.dumps(request)
