"""FaultHandler and RateLimitHandler make calls fail, or slow."""

from __future__ import annotations

import errno
import time
from typing import Any

import pytest

from sandlock import Sandbox
from sandlock.presets import FaultHandler, RateLimitHandler

FIVE = ["sh", "-c", "for i in 1 2 3 4 5; do cd / && echo $i; done"]


def succeeded(box: Sandbox, handler: Any) -> list[int]:
    return [int(line) for line in box.run(FIVE, handlers=[("chdir", handler)]).stdout.split()]


@pytest.mark.parametrize(
    ("options", "left"),
    [({}, []), ({"first": 3}, [1, 2]), ({"first": 2, "count": 2}, [1, 4, 5]), ({"count": 1}, [2, 3, 4, 5])],
)
def test_which_fail(box: Sandbox, options: dict[str, int], left: list[int]) -> None:
    handler = FaultHandler(errno.EIO, **options)
    assert succeeded(box, handler) == left
    assert handler.calls == 5


def test_a_delay_alone_fails_nothing(box: Sandbox) -> None:
    begin = time.monotonic()
    assert succeeded(box, FaultHandler(None, delay=0.02)) == [1, 2, 3, 4, 5]
    assert time.monotonic() - begin >= 5 * 0.02


def test_further_calls_wait(box: Sandbox) -> None:
    begin = time.monotonic()
    assert succeeded(box, RateLimitHandler(50)) == [1, 2, 3, 4, 5]
    assert time.monotonic() - begin >= 4 / 50


def test_further_calls_fail(box: Sandbox) -> None:
    once_in_an_age = RateLimitHandler(1e-9, burst=3, errno=errno.EAGAIN)  # longer than any host is up
    assert succeeded(box, once_in_an_age) == [1, 2, 3]


@pytest.mark.parametrize(
    ("make", "kind", "error"),
    [
        (lambda: FaultHandler(0), ValueError, "errno: value must be from 1"),
        (lambda: FaultHandler(5, first=0), ValueError, "first must be an int from 1 on, not 0"),
        (lambda: FaultHandler(5, first="1"), TypeError, "first must be an int from 1 on, not '1'"),  # type: ignore[arg-type]
        (lambda: FaultHandler(5, count=True), TypeError, "count must be an int from 1 on, not True"),
        (lambda: FaultHandler(5, delay=-1), ValueError, "delay must be finite and not negative, not -1"),
        (lambda: RateLimitHandler(0), ValueError, "per_second must be more than 0"),
        (lambda: RateLimitHandler("1"), TypeError, "per_second must be a number, not '1'"),  # type: ignore[arg-type]
        (lambda: RateLimitHandler(1, burst=0), ValueError, "burst must be an int from 1 on, not 0"),
    ],
)
def test_wrong_arguments(make: Any, kind: type[Exception], error: str) -> None:
    with pytest.raises(kind, match=error):
        make()
