"""Handlers that use sandboxes: their own, another one, and one in whose handler there is another one."""

from __future__ import annotations

import asyncio
from typing import Any

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, Sandbox, SandboxError
from tests.support.handlers import CONTINUE, Do
from tests.support.sandboxes import tool_sandbox

ECHO = ["sh", "-c", "umask; echo end"]


def test_running_in_ones_own_sandbox(box: Sandbox) -> None:
    def run(ctx: HandlerCtx) -> NotifAction:
        box.run(["true"])
        return CONTINUE

    result = box.run(ECHO, handlers=[("umask", Do(run))])
    assert result.reason == ExitReason.KILLED
    assert {type(failure.exception) for failure in result.handler_errors} == {SandboxError}
    assert "use another instance" in str(result.handler_errors[0].exception)


def test_killing_ones_own_sandbox(box: Sandbox) -> None:
    def kill(ctx: HandlerCtx) -> NotifAction:
        box.kill()
        return CONTINUE

    result = box.run(["sh", "-c", "umask; exec sleep 1000"], handlers=[("umask", Do(kill))])
    assert (result.reason, result.handler_errors) == (ExitReason.KILLED, [])


def test_answering_held_calls(box: Sandbox) -> None:
    """The first call is held; the handler of another one finds and answers it."""
    answered: list[Any] = []
    calls = iter([NotifAction.hold()])

    def answer(ctx: HandlerCtx) -> NotifAction:
        answered.extend(box.answer(held, NotifAction.returns(0o77)) for held in box.held if held.id != ctx.id)
        return NotifAction.errno(1) if not answered else CONTINUE

    handlers = [("umask", Do(lambda ctx: next(calls, CONTINUE))), ("chdir", Do(answer))]
    script = "umask & until cd / 2>/dev/null; do :; done; wait"
    assert box.run(["sh", "-c", script], timeout=60, handlers=handlers).stdout == b"0077\n"
    assert answered == [True]


def test_two_deep(box: Sandbox) -> None:
    depth: list[int] = []

    def nest(level: int) -> Handler:
        def decide(ctx: HandlerCtx) -> NotifAction:
            if level and level not in depth:
                depth.append(level)
                tool_sandbox().run(ECHO, handlers=[("umask", nest(level - 1))], check=True)
            return CONTINUE

        return Do(decide)

    assert box.run(ECHO, handlers=[("umask", nest(2))], check=True).handler_errors == []
    assert depth == [2, 1]


def test_asynchronous_handlers_two_deep(box: Sandbox) -> None:
    depth: list[int] = []

    class Nest(Handler):
        def __init__(self, level: int) -> None:
            self.level = level

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            if self.level and self.level not in depth:
                depth.append(self.level)
                await tool_sandbox().arun(ECHO, handlers=[("umask", Nest(self.level - 1))], check=True)
            return CONTINUE

    assert box.run(ECHO, handlers=[("umask", Nest(2))], check=True).handler_errors == []
    depth.clear()
    asyncio.run(box.arun(ECHO, handlers=[("umask", Nest(2))], check=True))
    assert depth == [2, 1]
