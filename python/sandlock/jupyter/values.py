"""Values on their way between a notebook and a sandboxed cell: JSON with tags, which nothing can be executed by."""

from __future__ import annotations

import base64
from typing import Any

__all__ = ["decode", "encode"]

_PLAIN = (type(None), bool, float, str)
_GROUPS = {kind.__name__: kind for kind in (tuple, set, frozenset)}
_TYPES = "None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset and dict"


def encode(name: str, value: object) -> Any:
    """Return the value of a variable in the form that JSON can tell.

    Raises:
        TypeError: it is, or contains, something of another type; subclasses are other types.
        ValueError: it contains itself.
    """
    try:
        return _encode(value)
    except TypeError as error:
        raise TypeError(f"variable {name!r}: {error}; what can pass is {_TYPES}") from None
    except RecursionError:
        raise ValueError(f"variable {name!r} contains itself, or nests too deep") from None


def decode(name: str, told: Any) -> object:
    """Return the value that :func:`encode` was given.

    Raises:
        ValueError: ``told`` is nothing that it returns.
    """
    try:
        return _decode(told)
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError(f"variable {name!r} came back malformed: {error!r}") from None


def _encode(value: object) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, int) and kind is int:
        # Hexadecimal where Python refuses to convert so many decimal digits.
        return value if value.bit_length() <= 64 else {"int": hex(value)}
    if isinstance(value, list) and kind is list:
        return [_encode(item) for item in value]
    if isinstance(value, dict) and kind is dict:
        return {"dict": [[_encode(key), _encode(item)] for key, item in value.items()]}
    if isinstance(value, (tuple, set, frozenset)) and kind in _GROUPS.values():
        return {kind.__name__: [_encode(item) for item in value]}
    if isinstance(value, bytes) and kind is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, complex) and kind is complex:
        return {"complex": [value.real, value.imag]}
    raise TypeError(f"a {kind.__module__}.{kind.__qualname__} cannot pass".replace("builtins.", ""))


def _decode(told: Any) -> object:
    if isinstance(told, list):
        return [_decode(item) for item in told]
    if not isinstance(told, dict):
        return told
    ((tag, inner),) = told.items()
    if tag == "int":
        return int(inner, 16)
    if tag == "bytes":
        return base64.b64decode(inner, validate=True)
    if tag == "complex":
        real, imaginary = inner
        return complex(real, imaginary)
    if tag == "dict":
        return {_decode(key): _decode(item) for key, item in inner}
    return _GROUPS[tag](_decode(item) for item in inner)
