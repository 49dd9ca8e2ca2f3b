"""ctx.perform and ctx.open: who may call them, with what, and what becomes of the answer that they return."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import threading
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, NotifError, Sandbox
from tests.support.acts import AT_FDCWD
from tests.support.handlers import Answer, Do
from tests.support.processes import open_fds
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import Buffer, ResultOf, Step, steps

READ = ("read", ResultOf(0), Buffer(16), 16)

Handle = Callable[[HandlerCtx], NotifAction]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text("judged")
    (tmp_path / "other").write_text("other")
    return path


@pytest.fixture
def text_box(stepper: Path, text: Path) -> Sandbox:
    return tool_sandbox([stepper, text.parent])


def opened(box: Sandbox, stepper: Path, path: Path, handler: Handler | Handle) -> list[Step]:
    """Open a file in the sandbox and read from it, with a handler for the opening."""
    if not isinstance(handler, Handler):
        handler = Do(handler)
    before = open_fds()
    told = steps(box, stepper, ("openat", AT_FDCWD, str(path), 0), READ, handlers=[("openat", only(path, handler))])
    gc.collect()
    assert open_fds() == before
    return told


class Only(Handler):
    """Asks a handler about the calls with one path; the program's start opens others."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = str(path)
        self._handler = handler

    def handle(self, ctx: HandlerCtx) -> Any:
        if ctx.read_path() != self._path:
            return NotifAction.continue_()
        return self._handler.handle(ctx)


class AsyncOnly(Only):
    async def handle(self, ctx: HandlerCtx) -> Any:
        answer = super().handle(ctx)
        return answer if isinstance(answer, NotifAction) else await answer


def only(path: Path, handler: Handler) -> Handler:
    return (AsyncOnly if asyncio.iscoroutinefunction(handler.handle) else Only)(path, handler)


WAYS: dict[str, Handle] = {
    "perform": lambda ctx: ctx.perform(),
    "open": lambda ctx: ctx.open(),
    "perform what was read": lambda ctx: ctx.perform(ctx.read_path() or ""),
    "open what was read": lambda ctx: ctx.open(ctx.read_path()),
    "perform bytes": lambda ctx: ctx.perform(ctx.read_path_bytes() or b""),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_result_is_handed_over(text_box: Sandbox, stepper: Path, text: Path, way: str) -> None:
    told = opened(text_box, stepper, text, WAYS[way])
    assert (told[0].result, told[1].data.rstrip(b"\0")) == (3, b"judged")


def test_an_error_is_handed_over(text_box: Sandbox, stepper: Path, tmp_path: Path) -> None:
    assert opened(text_box, stepper, tmp_path / "missing", lambda ctx: ctx.perform())[0].error == "ENOENT"


def test_a_number_is_handed_over(text_box: Sandbox, stepper: Path, text: Path) -> None:
    told = steps(text_box, stepper, ("access", str(text), 4), handlers=[("access", Do(lambda ctx: ctx.perform()))])
    assert (told[0].result, told[0].errno) == (0, 0)


def test_another_path_than_the_childs(text_box: Sandbox, stepper: Path, text: Path) -> None:
    told = opened(text_box, stepper, text, lambda ctx: ctx.open(text.parent / "other"))  # type: ignore[arg-type]
    assert told[1].data.rstrip(b"\0") == b"other"


def test_what_was_judged_is_performed(text_box: Sandbox, stepper: Path, text: Path) -> None:
    """Whatever the child's memory says by then."""

    def judge(ctx: HandlerCtx) -> NotifAction:
        path = ctx.read_path()
        assert path == str(text)
        assert ctx.write(ctx.args[1], bytes(text.parent / "else"))
        return ctx.perform(path)

    assert opened(text_box, stepper, text, judge)[1].data.rstrip(b"\0") == b"judged"


def test_it_decides_the_chain(text_box: Sandbox, stepper: Path, text: Path) -> None:
    after = Answer(NotifAction.errno(errno.EPERM))
    handlers: list[tuple[str, Handler]] = [("openat", Only(text, Do(lambda ctx: ctx.perform())))]
    handlers.append(("openat", Only(text, after)))
    told = steps(text_box, stepper, ("openat", AT_FDCWD, str(text), 0), handlers=handlers)
    assert (told[0].result, after.calls) == (3, 0)


def test_from_another_thread(text_box: Sandbox, stepper: Path, text: Path) -> None:
    def handle(ctx: HandlerCtx) -> NotifAction:
        actions: list[NotifAction] = []
        thread = threading.Thread(target=lambda: actions.append(ctx.perform()))
        thread.start()
        thread.join()
        return actions[0]

    assert opened(text_box, stepper, text, handle)[1].data.rstrip(b"\0") == b"judged"


def test_from_an_asynchronous_handler(text_box: Sandbox, stepper: Path, text: Path) -> None:
    class Awaiting(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            await asyncio.sleep(0)
            action = await asyncio.get_running_loop().run_in_executor(None, ctx.perform)
            await asyncio.sleep(0)
            return action

    assert opened(text_box, stepper, text, Awaiting())[1].data.rstrip(b"\0") == b"judged"


def test_what_is_performed_and_not_returned_is_closed(
    text_box: Sandbox, stepper: Path, text: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So is what an exception keeps the handler from returning."""
    caplog.set_level(logging.CRITICAL, logger="sandlock")  # a kept record keeps the exception

    def handle(ctx: HandlerCtx) -> NotifAction:
        for _ in range(20):
            ctx.perform()
        action = ctx.perform()
        raise LookupError(action)

    text_box.on_exception = NotifAction.errno(errno.EPERM)
    assert opened(text_box, stepper, text, handle)[0].error == "EPERM"


def test_an_answer_is_given_once(text_box: Sandbox, stepper: Path, text: Path) -> None:
    actions: list[NotifAction] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        if not actions:
            actions.append(ctx.perform())
        return actions[0]

    text_box.on_exception = NotifAction.errno(errno.EIO)
    opening = ("openat", AT_FDCWD, str(text), 0)
    told = steps(text_box, stepper, opening, opening, handlers=[("openat", Only(text, Do(handle)))])
    assert [step.error for step in told] == ["", "EIO"]


WRONG: dict[str, tuple[Handle, type[Exception], str]] = {
    "two paths": (lambda ctx: ctx.perform("/a", "/b"), ValueError, "takes 1 paths, not 2"),
    "NUL": (lambda ctx: ctx.perform("/\0"), ValueError, "NUL"),
    "NUL in bytes": (lambda ctx: ctx.open(b"/\0"), ValueError, "NUL"),
    "a number": (lambda ctx: ctx.perform(3), TypeError, "int"),  # type: ignore[arg-type]
    "None": (lambda ctx: ctx.perform(None), TypeError, "None"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_paths(text_box: Sandbox, stepper: Path, text: Path, wrong: str) -> None:
    """They are errors of the handler, and nothing is performed."""
    handle, error, words = WRONG[wrong]
    caught: list[str] = []

    def catch(ctx: HandlerCtx) -> NotifAction:
        with pytest.raises(error) as raised:
            handle(ctx)
        caught.append(str(raised.value))
        return NotifAction.errno(errno.EPERM)

    assert opened(text_box, stepper, text, catch)[0].error == "EPERM"
    assert words in caught[0]


@pytest.mark.parametrize("call", [("getppid",), ("chdir", "/"), ("read", 0, Buffer(1), 1)], ids=lambda call: call[0])
def test_a_call_that_cannot_be_performed(step_box: Sandbox, stepper: Path, call: tuple[Any, ...]) -> None:
    caught: list[str] = []

    def catch(ctx: HandlerCtx) -> NotifAction:
        with pytest.raises(NotifError) as raised:
            ctx.perform()
        caught.append(str(raised.value))
        return NotifAction.continue_()

    steps(step_box, stepper, call, handlers=[(call[0], Do(catch))])
    assert "cannot be performed on the child's behalf" in caught[0]


def test_execve_cannot_be_performed(box: Sandbox) -> None:
    """What the handler does not catch is its failure."""
    result = box.run(["true"], handlers=[("execve", Do(lambda ctx: ctx.perform()))])
    assert result.reason == ExitReason.KILLED
    assert {type(failure.exception) for failure in result.handler_errors} == {NotifError}


def test_after_the_answer(text_box: Sandbox, stepper: Path, text: Path) -> None:
    contexts: list[HandlerCtx] = []

    def late(ctx: HandlerCtx) -> NotifAction:
        for kept in contexts:
            for way in WAYS.values():
                with pytest.raises(NotifError):
                    way(kept)
            with pytest.raises(NotifError):
                kept.perform(str(text))
        return NotifAction.continue_()

    def keep(ctx: HandlerCtx) -> NotifAction:
        contexts.append(ctx)
        return ctx.perform()

    handlers: list[tuple[str, Handler]] = [("openat", Only(text, Do(keep))), ("getppid", Do(late))]
    steps(text_box, stepper, ("openat", AT_FDCWD, str(text), 0), ("getppid",), handlers=handlers)
    assert len(contexts) == 1
    with pytest.raises(NotifError):
        contexts[0].perform(str(text))
