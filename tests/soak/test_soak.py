"""A few seconds of the soak, and that it notices what it is for."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, _decision, _workers
from sandlock._chain import Link
from sandlock._decision import Failures
from tests.soak import answers
from tests.soak.answers import Kind, release
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


@pytest.mark.parametrize("times", [0, 2])
def test_a_handler_that_is_not_asked_once_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    calls = itertools.count()

    def ask(link: Link, ctx: HandlerCtx, failures: Failures) -> NotifAction:
        answer = release(ctx)
        for _ in range(times if next(calls) == 500 else 1):
            answer = _decision.ask(link, ctx, failures)
        return answer

    monkeypatch.setattr(_workers, "ask", ask)
    wrong = soak(program("ledger"), tmp_path, 2000, 0).wrong  # 500 calls of each of four threads
    assert any(f"handlers saw {499 + times}," in problem for problem in wrong), wrong


def test_growth_is_found() -> None:
    look = Footprint.now()
    assert growth([look] * 10) == []
    grown = dataclasses.replace(look, fds=look.fds + 1)
    assert growth([look] * 5 + [grown]) == [f"fds: at most {look.fds} in the first half, {look.fds + 1} in the second"]
