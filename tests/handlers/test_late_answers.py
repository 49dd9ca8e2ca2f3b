"""What a handler says after its time limit counts for nothing, and what it gives is closed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from typing import Any

import pytest

from sandlock import ExceptionPolicy, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer
from tests.support.late import CHDIR, EPERM, LONG, SHORT, Asynchronous, Late, run
from tests.support.processes import open_fds


class Stubborn(Asynchronous):
    """Gives a descriptor although it was cancelled."""

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        with contextlib.suppress(asyncio.CancelledError):
            await super().handle(ctx)
        return NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY))


@pytest.mark.parametrize("position", [0, 1])
def test_what_an_asynchronous_handler_returns_late_is_closed(box: Sandbox, position: int) -> None:
    before = open_fds()
    late, other = Stubborn(), Answer()
    other.handler_timeout = LONG
    handlers: list[tuple[str, Handler]] = [("chdir", other)]
    handlers.insert(position, ("chdir", late))
    result = box.run(CHDIR, handlers=handlers)
    assert (result.stdout, late.cancelled.is_set()) == (b"refused\n", True)
    assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError]
    assert open_fds() == before


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("source", ["file", "number", "bytes"])
def test_what_a_synchronous_handler_returns_late_is_closed(box: Sandbox, position: int, source: str) -> None:
    before = open_fds()

    class Giving(Late):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            super().handle(ctx)
            if source == "bytes":
                return NotifAction.inject_bytes(b"late")
            fd = os.open("/dev/null", os.O_RDONLY)
            return NotifAction.inject_fd_send(open(fd, "rb") if source == "file" else fd)

    late, other = Giving(handler_timeout=SHORT, on_exception=EPERM), Answer()
    other.handler_timeout = LONG
    handlers: list[Handler] = [other]
    handlers.insert(position, late)
    result = run(box, late, *handlers)
    assert result.stdout == b"refused\n"
    assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError]
    assert open_fds() == before


class LateAndFailing(Late):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        super().handle(ctx)
        raise LookupError("on purpose")


@pytest.mark.parametrize("alone", [True, False])
def test_an_exception_after_the_limit_is_kept_with_what_was_answered(box: Sandbox, alone: bool) -> None:
    """Which is the constant action, not what the rules say for that exception."""
    rules: Any = {LookupError: NotifAction.returns(0), Exception: EPERM}
    late, other = LateAndFailing(handler_timeout=SHORT, on_exception=rules), Answer()
    result = run(box, late, *([late] if alone else [late, other]))
    assert (result.stdout, other.calls) == (b"refused\n", 0)
    told = {(failure.handler, type(failure.exception), failure.action) for failure in result.handler_errors}
    assert told == {(late, TimeoutError, EPERM), (late, LookupError, EPERM)}


def test_a_base_exception_after_the_limit_reaches_the_caller_of_run(box: Sandbox) -> None:
    class Interrupted(Late):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            super().handle(ctx)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(box, Interrupted(handler_timeout=SHORT, on_exception=EPERM))


class Told(Handler):
    """An observer that learns what was decided."""

    observe = True
    handler_timeout = LONG

    def __init__(self) -> None:
        self.decisions: list[NotifAction] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return CONTINUE

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        self.decisions.append(action)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("position", [0, 1])
def test_observers_are_told_of_the_constant_action(box: Sandbox, kind: str, position: int) -> None:
    """Once, and not of what the late handler says in the end."""
    late: Any = Asynchronous() if kind == "async" else Late(NotifAction.returns(0), handler_timeout=SHORT)
    late.on_exception = EPERM
    told, other = Told(), Answer()
    other.handler_timeout, other.on_exception = LONG, NotifAction.returns(0)
    deciders: list[Handler] = [other]
    deciders.insert(position, late)
    handlers = [told, *deciders]
    result = box.run(CHDIR, handlers=[("chdir", h) for h in handlers]) if kind == "async" else run(box, late, *handlers)
    assert result.stdout == b"refused\n"
    assert told.decisions == [EPERM]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_observer_that_is_late(box: Sandbox, kind: str) -> None:
    """It is answered for as anybody else: who decides was not asked yet."""
    late: Any = Asynchronous() if kind == "async" else Late(handler_timeout=SHORT)
    late.on_exception, late.observe = EPERM, True
    told, decider = Told(), Answer(NotifAction.returns(0))
    handlers = [late, decider, told]
    result = box.run(CHDIR, handlers=[("chdir", h) for h in handlers]) if kind == "async" else run(box, late, *handlers)
    assert result.stdout == b"refused\n"
    assert [failure.handler for failure in result.handler_errors] == [late]
    assert (decider.calls, told.decisions) == (0, [EPERM])


def test_an_observer_that_is_late_and_may_be(box: Sandbox) -> None:
    """Its Continue is not the deciders' consent: what the rules of the next one say answers."""
    late = Late(handler_timeout=SHORT, on_exception=ExceptionPolicy.CONTINUE, observe=True)
    decider = Answer(NotifAction.returns(0))
    decider.on_exception = ExceptionPolicy.DENY_EIO
    result = run(box, late, late, decider)
    assert (result.stdout, decider.calls) == (b"refused\n", 0)
    assert [failure.action for failure in result.handler_errors] == [NotifAction.errno(errno.EIO)]
