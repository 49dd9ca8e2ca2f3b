"""A child that makes a handler fail again and again does not fill the host's memory."""

from __future__ import annotations

import errno
import logging

import pytest

from sandlock import NotifAction, Sandbox
from tests.support.handlers import Fail

MOST, CALLS = 10_000, 10_050


class Interrupting(Fail):
    """Raises what must reach the caller of run, after more failures than are kept."""

    def handle(self, ctx: object) -> NotifAction:
        self.calls += 1
        raise KeyboardInterrupt if self.calls == CALLS else LookupError


COMMAND = ["sh", "-c", f"i=0; while [ $i -lt {CALLS} ]; do umask 22; i=$((i + 1)); done"]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "sandlock")


def test_the_first_are_kept(box: Sandbox) -> None:
    box.on_exception = NotifAction.errno(errno.EIO)
    fail = Fail(LookupError())
    result = box.run(COMMAND, handlers=[("umask", fail)])
    assert (len(result.handler_errors), result.more_handler_errors) == (MOST, fail.calls - MOST)
    assert fail.calls >= CALLS


def test_an_interrupt_is_never_dropped(box: Sandbox) -> None:
    box.on_exception = NotifAction.errno(errno.EIO)
    with pytest.raises(KeyboardInterrupt):
        box.run(COMMAND, handlers=[("umask", Interrupting(LookupError()))])
