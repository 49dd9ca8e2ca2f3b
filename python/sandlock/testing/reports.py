"""Reports from a sandboxed interpreter, which may be anything that JSON can say."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["RubbishError", "report_of"]


class RubbishError(ValueError):
    """What came is no report of the test."""


def report_of(data: dict[str, Any], item: pytest.Item) -> pytest.TestReport | None:
    """Return the report of a test; None when it is about something else.

    Raises:
        RubbishError: pytest could not show it.
    """
    if data.get("$report_type") != "TestReport" or data.get("nodeid") != item.nodeid:
        return None
    known = {name: data.get(name) for name in ("outcome", "when", "longrepr", "wasxfail", "duration", "start", "stop")}
    if known["outcome"] not in ("passed", "failed", "skipped") or known["when"] not in ("setup", "call", "teardown"):
        raise RubbishError("the report has no outcome")
    skipped = known["longrepr"]
    if isinstance(skipped, list):  # JSON has no tuples
        known["longrepr"] = _typed(skipped, (str, int, str))
    if known["wasxfail"] is None:
        del known["wasxfail"]
    elif not isinstance(known["wasxfail"], str):
        raise RubbishError("wasxfail is no text")
    for number in ("duration", "start", "stop"):
        if not isinstance(known[number], (int, float)):
            raise RubbishError(f"{number} is no number")
    report = {
        **known,
        "$report_type": "TestReport",
        "nodeid": item.nodeid,
        "location": item.location,
        "keywords": dict.fromkeys(item.keywords, 1),
        "sections": [_typed(pair, (str, str)) for pair in _list(data.get("sections"))],
        "user_properties": [_typed(pair, (str, object)) for pair in _list(data.get("user_properties"))],
    }
    try:
        made = item.config.hook.pytest_report_from_serializable(config=item.config, data=report)
        str(made.longreprtext)  # fails for what cannot be shown
    except Exception as error:
        raise RubbishError(f"the report cannot be shown: {error!r}") from error
    assert isinstance(made, pytest.TestReport)
    return made


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise RubbishError(f"{value!r} is no list")
    return value


def _typed(value: object, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    values = _list(value)
    if len(values) != len(kinds) or not all(isinstance(one, kind) for one, kind in zip(values, kinds)):
        raise RubbishError(f"{value!r} has other types than {kinds}")
    return tuple(values)
