"""Asynchronous handlers overlap, by the thousand; how many may be in flight is bounded."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox, _async
from sandlock._request import StrPath
from tests.support.handlers import CONTINUE, Do
from tests.support.processes import Fifo, MakeFifo
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import number

THOUSAND = 1000


@pytest.fixture
def crowd_box(program: Program) -> Sandbox:
    return tool_sandbox([program("crowd")])


def crowd(program: Program, threads: int) -> list[StrPath]:
    """Return a command of many threads that call getppid at once, each with its number as the first argument."""
    return [program("crowd"), str(threads), number("getppid")]


class Sleeping(Handler):
    """Sleeps for a while, and counts how many do."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.now = 0
        self.most = 0

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self.now -= 1
        return NotifAction.returns(ctx.args[0])


def test_a_thousand_sleep_at_once(crowd_box: Sandbox, program: Program) -> None:
    """The time is not measured: were they asleep one after the other, the command would run into its time limit."""
    handler = Sleeping(0.1)
    result = crowd_box.run(crowd(program, THOUSAND), handlers=[("getppid", handler)], timeout=60, check=True)
    assert result.stdout.splitlines() == [b"%d 0" % index for index in range(THOUSAND)]
    assert handler.most > THOUSAND // 4
    assert handler.now == 0


class Gathering(Handler):
    """Answers nobody until all are there."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._waiting: list[asyncio.Future[None]] = []

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if len(self._waiting) == self._count:
            for waiting in self._waiting:
                waiting.set_result(None)
        await mine
        return NotifAction.returns(ctx.args[0])


def test_a_thousand_wait_for_each_other(crowd_box: Sandbox, program: Program) -> None:
    handler = Gathering(THOUSAND)
    result = crowd_box.run(crowd(program, THOUSAND), handlers=[("getppid", handler)], timeout=60, check=True)
    assert result.stdout.splitlines() == [b"%d 0" % index for index in range(THOUSAND)]


@pytest.mark.parametrize("threads", [1, 8])
def test_they_need_no_more_worker_threads(crowd_box: Sandbox, program: Program, threads: int) -> None:
    crowd_box.handler_threads = threads
    handler = Gathering(200)
    assert crowd_box.run(crowd(program, 200), handlers=[("getppid", handler)], timeout=60).success


class UntilRefused(Handler):
    """Waits until the shell has gone on."""

    def __init__(self, most: int, all_wait: Fifo) -> None:
        self._most = most
        self._all_wait = all_wait
        self._asked: list[asyncio.Future[None]] = []

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        mine = asyncio.get_running_loop().create_future()
        self._asked.append(mine)
        if len(self._asked) == self._most:
            self._all_wait.release()
        await mine
        return NotifAction.returns(7)

    def release(self, ctx: HandlerCtx) -> NotifAction:
        while self._asked:
            mine = self._asked.pop()
            mine.get_loop().call_soon_threadsafe(mine.set_result, None)
        return CONTINUE


def test_too_many_in_flight(box: Sandbox, stepper: Path, make_fifo: MakeFifo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call fails with EAGAIN, no handler is asked about it, and the others go on, and there is room again."""
    monkeypatch.setattr(_async, "MAX_IN_FLIGHT", 3)
    go = make_fifo("go")
    box.fs_readable = [*box.fs_readable, stepper, go.path]
    handler = UntilRefused(3, go)
    call = f"{stepper} {number('getsid')}"
    script = f"{call} & {call} & {call} & read line <{go.path}; {call} >&2; umask >/dev/null; wait"
    handlers = [("getsid", handler), ("umask", Do(handler.release))]
    result = box.run(["sh", "-c", script], handlers=handlers, timeout=60, check=True)
    assert result.stderr.split() == [b"-1", b"%d" % errno.EAGAIN]
    assert result.stdout.splitlines() == [b"7 0 "] * 3
    assert result.handler_errors == []
