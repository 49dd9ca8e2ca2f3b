"""Exceptions that mean something to generators, coroutines and loops are failures of a handler like any other."""

from __future__ import annotations

import asyncio
import builtins
import errno
from typing import Any, Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Fail

CHDIR = ["sh", "-c", "cd / || echo refused"]
EPERM = NotifAction.errno(errno.EPERM)


class AsyncFail(Fail):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        return super().handle(ctx)


class AsyncAnswer(Answer):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        return super().handle(ctx)


class FailingObserver(Answer):
    observe = True

    def __init__(self, exception: BaseException) -> None:
        super().__init__()
        self._exception = exception

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        raise self._exception


def timed(handler: Handler) -> Handler:
    handler.handler_timeout = 1000
    return handler


def observing(handler: Handler) -> Handler:
    handler.observe = True
    return handler


CHAINS: dict[str, Callable[[BaseException], list[Handler]]] = {
    "alone": lambda e: [Fail(e)],
    "in a chain": lambda e: [Answer(), Fail(e), Answer()],
    "timed": lambda e: [timed(Answer()), timed(Fail(e))],
    "observing": lambda e: [observing(Fail(e)), Answer()],
    "told": lambda e: [FailingObserver(e), Answer(EPERM)],
    "asynchronous": lambda e: [AsyncFail(e)],
    "after an asynchronous one": lambda e: [AsyncAnswer(), Fail(e)],
    "observing, asynchronous": lambda e: [observing(AsyncFail(e)), Answer()],
}

ASYNCHRONOUS = ["asynchronous", "observing, asynchronous"]

EXCEPTIONS: list[Exception] = [StopAsyncIteration(), asyncio.TimeoutError(), BlockingIOError(), UserWarning("warning")]
if hasattr(builtins, "ExceptionGroup"):
    EXCEPTIONS.append(builtins.ExceptionGroup("group", [OSError(), KeyError()]))


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda e: type(e).__name__)
def test_exception(box: Sandbox, chain: str, exception: Exception, capfd: pytest.CaptureFixture[str]) -> None:
    box.on_exception = {type(exception): EPERM}
    result = box.run(CHDIR, handlers=[("chdir", handler) for handler in CHAINS[chain](exception)], timeout=60)
    assert result.stdout == b"refused\n"
    assert [failure.exception for failure in result.handler_errors] == [exception]
    assert capfd.readouterr().err == "", "nobody says that something was never retrieved"


@pytest.mark.parametrize("chain", [name for name in CHAINS if name not in ASYNCHRONOUS])
def test_stop_iteration(box: Sandbox, chain: str) -> None:
    exception = StopIteration("on purpose")
    box.on_exception = {StopIteration: EPERM}
    result = box.run(CHDIR, handlers=[("chdir", handler) for handler in CHAINS[chain](exception)], timeout=60)
    assert result.stdout == b"refused\n"
    assert [failure.exception for failure in result.handler_errors] == [exception]


def test_stop_iteration_of_a_coroutine(box: Sandbox) -> None:
    """Python itself makes another exception of it."""
    box.on_exception = EPERM
    result = box.run(CHDIR, handlers=[("chdir", AsyncFail(StopIteration("on purpose")))], timeout=60)
    assert result.stdout == b"refused\n"
    (failure,) = result.handler_errors
    assert isinstance(failure.exception, RuntimeError)
    assert isinstance(failure.exception.__cause__, StopIteration)


BASE_EXCEPTIONS: list[Any] = [GeneratorExit(), asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(2)]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("exception", BASE_EXCEPTIONS, ids=lambda e: type(e).__name__)
def test_base_exception(box: Sandbox, chain: str, exception: BaseException, capfd: pytest.CaptureFixture[str]) -> None:
    """It reaches the caller of run, and the sandbox can run again."""
    box.on_exception = EPERM
    with pytest.raises(type(exception)):
        box.run(CHDIR, handlers=[("chdir", handler) for handler in CHAINS[chain](exception)], timeout=60)
    result = box.run(CHDIR, handlers=[("chdir", Answer(EPERM))], timeout=60)
    assert (result.stdout, result.handler_errors) == (b"refused\n", [])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("chain", CHAINS)
def test_a_class_that_is_raised(box: Sandbox, chain: str) -> None:
    exception: Any = LookupError
    box.on_exception = {LookupError: EPERM}
    result = box.run(CHDIR, handlers=[("chdir", handler) for handler in CHAINS[chain](exception)], timeout=60)
    assert result.stdout == b"refused\n"
    assert [type(failure.exception) for failure in result.handler_errors] == [LookupError]


def test_continue_is_not_the_answer_to_an_exception_by_itself(box: Sandbox) -> None:
    """An empty mapping says nothing, and neither does one for others."""
    rules: list[Any] = [{}, {StopIteration: CONTINUE}]
    for rule in rules:
        result = box.run(CHDIR, handlers=[("chdir", Fail(StopAsyncIteration()), rule)], timeout=60)
        assert result.signal == 9
