"""Many sandboxes with handlers at once, in one process."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox, _core
from tests.support.handlers import Answer
from tests.support.processes import PATIENCE, open_fds
from tests.support.sandboxes import tool_sandbox

COUNT = 64


@pytest.fixture(autouse=True)
def _warm() -> None:
    tool_sandbox().run(["true"], handlers=[("umask", Answer())])


class Meeting(Handler):
    """Answers with its number when the handlers of all sandboxes have been asked."""

    def __init__(self, number: int, barrier: threading.Barrier) -> None:
        self._number = number
        self._barrier = barrier
        self.pids: set[int] = set()
        self.groups: set[int] = set()

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        if not self.pids:
            self._barrier.wait(PATIENCE)
        self.pids.add(ctx.pid)
        self.groups.add(os.getpgid(ctx.pid))
        return NotifAction.returns(self._number)


class AsyncMeeting(Meeting):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        return await asyncio.get_running_loop().run_in_executor(None, super().handle, ctx)


@pytest.mark.parametrize("kind", [Meeting, AsyncMeeting])
def test_at_once(kind: type[Meeting]) -> None:
    fds = open_fds()
    barrier = threading.Barrier(COUNT)
    handlers = [kind(number, barrier) for number in range(COUNT)]

    def run(handler: Meeting) -> bytes:
        return tool_sandbox().run(["sh", "-c", "umask"], handlers=[("umask", handler)], timeout=100, check=True).stdout

    with ThreadPoolExecutor(COUNT) as pool:
        outputs = list(pool.map(run, handlers))
    assert outputs == [b"%04o\n" % number for number in range(COUNT)]
    assert len(set().union(*(handler.pids for handler in handlers))) == COUNT
    assert all(len(handler.groups) == 1 for handler in handlers)
    assert open_fds() == fds
    assert _core.NumHandles() == 0


def test_the_failure_of_one_is_its_own() -> None:
    """The others run on while it is killed."""
    barrier = threading.Barrier(8)

    class Failing(Meeting):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            super().handle(ctx)
            raise LookupError(self._number)

    handlers = [(Failing if number % 2 else Meeting)(number, barrier) for number in range(8)]
    boxes: list[Sandbox] = [tool_sandbox() for _ in handlers]

    def run(number: int) -> tuple[bytes, list[str]]:
        result = boxes[number].run(["sh", "-c", "umask"], handlers=[("umask", handlers[number])], timeout=100)
        return result.stdout, [str(failure.exception) for failure in result.handler_errors]

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(run, range(8)))
    assert outcomes == [(b"", [str(n)]) if n % 2 else (b"%04o\n" % n, []) for n in range(8)]


def test_one_handler_for_all() -> None:
    """Who registers it with many sandboxes gets the calls of all."""
    handler = Answer(NotifAction.returns(0o123))

    def run(_: int) -> bytes:
        return tool_sandbox().run(["sh", "-c", "umask"], handlers=[("umask", handler)], timeout=100).stdout

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(run, range(48))) == {b"0123\n"}
    assert handler.calls % 48 == 0
    assert handler.calls > 0
