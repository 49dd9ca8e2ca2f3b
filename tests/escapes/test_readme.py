"""The tests that README.md names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.processes import ROOT

NAMED = re.findall(r"`([\w/.]+)::(\w+)`", Path(__file__).with_name("README.md").read_text())


def defined(where: str, name: str) -> bool:
    if name.startswith("Test"):
        return any(re.search(rf"^func {name}\(", file.read_text(), re.M) for file in (ROOT / where).glob("*_test.go"))
    return re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / where).read_text(), re.M) is not None


@pytest.mark.parametrize("where", sorted({where for where, _ in NAMED}))
def test_named(where: str) -> None:
    names = [name for file, name in NAMED if file == where]
    assert [name for name in names if not defined(where, name)] == []
