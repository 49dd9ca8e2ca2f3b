"""Presets that decide about paths say which variants of a call they do not see."""

from __future__ import annotations

import logging

import pytest

from sandlock import _variants
from sandlock.presets import PathDenyHandler
from tests.support.acts import known
from tests.support.handlers import Answer
from tests.support.sandboxes import tool_sandbox

OPENS = [name for name in ("open", "openat", "openat2", "creat") if known(name)]


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Forget what was told before."""
    _variants._warn.cache_clear()


def test_what_is_missing_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    deny = PathDenyHandler(["/none"])
    for _ in range(2):
        tool_sandbox().run(["true"], handlers=[("openat", deny)], check=True)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("sandlock", logging.WARNING)
    missing = ", ".join(name for name in OPENS if name != "openat")
    assert f"PathDenyHandler is asked about openat, but not about {missing}, by which" in record.getMessage()


def test_every_variant(caplog: pytest.LogCaptureFixture) -> None:
    """Of one call, or of all."""
    deny = PathDenyHandler(["/none"])
    every = [name for family in _variants._FAMILIES for name in family if known(name)]
    for names in (OPENS, every):
        tool_sandbox().run(["true"], handlers=[(name, deny) for name in names], check=True)
    assert caplog.records == []


def test_others_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """What a handler of one call is for is its author's to know."""
    tool_sandbox().run(["true"], handlers=[("openat", Answer())], check=True)
    assert caplog.records == []
