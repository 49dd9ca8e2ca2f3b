"""A few seconds of the soak, and that it notices what it is for."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import pytest

from sandlock import NotifAction
from tests.soak import answers
from tests.soak.answers import Kind
from tests.soak.sandboxes import soak
from tests.support.footprint import Footprint, growth
from tests.support.programs import Program


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep pytest from holding the tracebacks that are logged."""
    caplog.set_level(logging.CRITICAL + 1, logger="sandlock")


def test_the_books_agree(program: Program, tmp_path: Path) -> None:
    looks = []
    for seed in range(8):
        outcome = soak(program("ledger"), tmp_path, 2000, seed)
        assert outcome.wrong == [], f"seed {seed}"
        assert outcome.fate != "ends" or outcome.answered >= 1996
        looks.append(Footprint.now())
    assert growth(looks) == []


@pytest.mark.parametrize("kind", [Kind.RETURN, Kind.CONTINUE, Kind.INJECT])
def test_an_answer_to_another_call_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    monkeypatch.setitem(answers._ANSWERS, kind, lambda ctx, value: NotifAction.returns(value ^ 1))
    wrong = soak(program("ledger"), tmp_path, 1000, 0).wrong
    assert any("answers did not fit" in problem for problem in wrong)


def test_growth_is_found() -> None:
    look = Footprint.now()
    assert growth([look] * 10) == []
    grown = dataclasses.replace(look, fds=look.fds + 1)
    assert growth([look] * 5 + [grown]) == [f"fds: at most {look.fds} in the first half, {look.fds + 1} in the second"]
