"""Reports from a sandboxed interpreter, which may be anything that JSON can say."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import Any

import pytest

from sandlock._printable import printable

__all__ = ["RubbishError", "report_of", "shown"]


class RubbishError(ValueError):
    """What came is no report of the test."""


@dataclass(frozen=True)
class _Either:
    """A shape: one of several."""

    shapes: tuple[Any, ...]


# Shapes of values. A type and a text stand for themselves, a list for any number of values, a tuple for just so many,
# a dict for one with these keys. pytest's reporters rely on them: anything else would end the session.
_NOTHING = type(None)
_NUMBER = _Either((int, float))
_PLACE = {"path": str, "lineno": int, "message": str}
_LINES = {"lines": [str]}
_DETAILS = {
    **_LINES,
    "reprfuncargs": _Either((_NOTHING, {"args": [(str, str)]})),
    "reprlocals": _Either((_NOTHING, _LINES)),
    "reprfileloc": _Either((_NOTHING, _PLACE)),
    "style": str,
}
_ENTRY = _Either(({"type": "ReprEntry", "data": _DETAILS}, {"type": "ReprEntryNative", "data": _LINES}))
_TEXT = _Either((_NOTHING, str))
_TRACEBACK = {"reprentries": [_ENTRY], "extraline": _TEXT, "style": str}
_CRASH = _Either((_NOTHING, _PLACE))
_EXCEPTION = {
    "reprcrash": _CRASH,
    "reprtraceback": _TRACEBACK,
    "sections": [(str, str, str)],
    "chain": _Either((_NOTHING, [(_TRACEBACK, _CRASH, _TEXT)])),
}
_FAILURE = _Either((str, _EXCEPTION))
_SKIP = (str, int, str)
_LONGREPR = {"failed": _FAILURE, "skipped": _SKIP, "passed": _Either((_NOTHING, _FAILURE, _SKIP))}
_REPORT = {
    "outcome": str,
    "when": str,
    "duration": _NUMBER,
    "start": _NUMBER,
    "stop": _NUMBER,
    "sections": [(str, str)],
    "user_properties": [(str, object)],
}
_LONGEST = 1e12
"""Seconds, since 1970 as well: what is more cannot be shown."""

_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")


def report_of(data: dict[str, Any], item: pytest.Item) -> pytest.TestReport | None:
    """Return the report of a test; None when it is about something else.

    Raises:
        RubbishError: pytest could not show it.
    """
    if data.get("$report_type") != "TestReport" or data.get("nodeid") != item.nodeid:
        return None
    known = _fitted(data, _REPORT)
    if known["outcome"] not in _LONGREPR or known["when"] not in ("setup", "call", "teardown"):
        raise RubbishError("the report has no outcome")
    if not all(-_LONGEST < known[number] < _LONGEST for number in ("duration", "start", "stop")):
        raise RubbishError("the report has no time")
    expected = data.get("wasxfail") is not None
    if expected:
        known["wasxfail"] = _fitted(data["wasxfail"], str)
    known["longrepr"] = _fitted(data.get("longrepr"), _LONGREPR["passed" if expected else known["outcome"]])
    report = {
        **known,
        "$report_type": "TestReport",
        "nodeid": item.nodeid,
        "location": item.location,
        "keywords": dict.fromkeys(item.keywords, 1),
    }
    try:
        made = item.config.hook.pytest_report_from_serializable(config=item.config, data=report)
        str(made.longreprtext)  # fails for what cannot be shown
    except Exception as error:
        raise RubbishError(f"the report cannot be shown: {error!r}") from error
    assert isinstance(made, pytest.TestReport)
    return made


def shown(text: str) -> str:
    """Return text for a terminal, which obeys nothing in it but colours."""
    return "".join(part if _COLOUR.fullmatch(part) else printable(part, "\n\t") for part in _COLOUR.split(text))


def _fitted(value: object, shape: Any) -> Any:
    """Return a value that has a shape, its text fit to be shown, without what the shape does not have."""
    if isinstance(shape, _Either):
        for one in shape.shapes:
            with contextlib.suppress(RubbishError):
                return _fitted(value, one)
    elif isinstance(value, list):
        if isinstance(shape, list):
            return [_fitted(item, shape[0]) for item in value]
        if isinstance(shape, tuple) and len(value) == len(shape):
            return tuple(map(_fitted, value, shape))
    elif isinstance(value, dict) and isinstance(shape, dict):
        if value.keys() >= shape.keys():
            return {name: _fitted(value[name], inner) for name, inner in shape.items()}
    elif isinstance(value, str) and shape is str:
        return shown(value)
    if shape is object or type(value) is shape or (isinstance(shape, str) and value == shape):
        return value
    raise RubbishError("the report has another form than pytest's")
