"""Handlers belong to one run and are free after it, however it ended."""

from __future__ import annotations

import gc
import logging
import weakref
from typing import Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, PolicyError, Sandbox
from tests.support.handlers import CONTINUE, Answer, Fail

UMASK = ["sh", "-c", "umask"]


@pytest.fixture(autouse=True)
def _no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Keep pytest from holding the tracebacks that are logged."""
    caplog.set_level(logging.CRITICAL + 1, logger="sandlock")


def ends_well(box: Sandbox, handler: Handler) -> None:
    box.run(UMASK, handlers=[("umask", handler)], check=True)


def is_never_asked(box: Sandbox, handler: Handler) -> None:
    box.run(["true"], handlers=[("umask", handler)], check=True)


def is_not_executed(box: Sandbox, handler: Handler) -> None:
    box.run(["/nonexistent"], handlers=[("umask", handler)])


def is_refused(box: Sandbox, handler: Handler) -> None:
    with pytest.raises(PolicyError):
        box.run(UMASK, handlers=[("umask", handler), ("ptrace", handler)])


def is_refused_by_type(box: Sandbox, handler: Handler) -> None:
    with pytest.raises(TypeError):
        box.run(UMASK, handlers=[("umask", handler), ("umask", None)])  # type: ignore[list-item]


def times_out(box: Sandbox, handler: Handler) -> None:
    box.run(["sleep", "1000"], timeout=0, handlers=[("umask", handler)])


def is_killed(box: Sandbox, handler: Handler) -> None:
    box.run(UMASK, handlers=[("umask", handler), ("umask", Answer(NotifAction.kill()))])


def fails_by_another(box: Sandbox, handler: Handler) -> None:
    box.run(UMASK, handlers=[("umask", handler), ("umask", Fail(OSError()))])


def is_interrupted(box: Sandbox, handler: Handler) -> None:
    with pytest.raises(KeyboardInterrupt):
        box.run(UMASK, handlers=[("umask", handler), ("umask", Fail(KeyboardInterrupt()))])


ENDS = [
    ends_well,
    is_never_asked,
    is_not_executed,
    is_refused,
    is_refused_by_type,
    times_out,
    is_killed,
    fails_by_another,
    is_interrupted,
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_free_after_the_run(box: Sandbox, end: Callable[[Sandbox, Handler], None]) -> None:
    handler = Answer()
    reference = weakref.ref(handler)
    end(box, handler)
    del handler
    gc.collect()
    assert reference() is None


def test_the_result_of_a_failure_keeps_its_handler(box: Sandbox) -> None:
    handler = Fail(OSError())
    reference = weakref.ref(handler)
    result = box.run(UMASK, handlers=[("umask", handler)])
    del handler
    gc.collect()
    assert result.handler_errors[0].handler is reference()
    del result
    gc.collect()
    assert reference() is None


def test_a_handler_that_knows_its_sandbox_and_contexts(box: Sandbox) -> None:
    class Cycle(Handler):
        def __init__(self, box: Sandbox) -> None:
            self.box = box
            self.contexts: list[HandlerCtx] = []

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            self.contexts.append(ctx)
            return CONTINUE

    handler = Cycle(box)
    box.handler = handler  # type: ignore[attr-defined]
    reference = weakref.ref(handler)
    box.run(UMASK, handlers=[("umask", handler)], check=True)
    del handler, box.handler  # type: ignore[attr-defined]
    gc.collect()
    assert reference() is None


def test_the_spec_of_the_caller_is_left_alone(box: Sandbox) -> None:
    handlers = [("umask", Answer()), ("umask", Answer())]
    before = list(handlers)
    box.run(UMASK, handlers=handlers, check=True)
    assert handlers == before


def test_a_change_of_the_spec_during_the_run_changes_nothing(box: Sandbox) -> None:
    handlers: list[tuple[str, Handler]] = []
    late = Answer()

    class Changing(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            handlers.append(("umask", late))
            return CONTINUE

    handlers.append(("umask", Changing()))
    box.run(["sh", "-c", "umask; umask"], handlers=handlers, check=True)
    assert late.calls == 0
