"""Held calls of commands that run beside the host, or are awaited, and of runs that just end."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Result, Sandbox, StdioMode
from tests.support.held import HoldAll
from tests.support.processes import PATIENCE
from tests.support.steps import number

EPERM = NotifAction.errno(errno.EPERM)


@pytest.fixture
def command(stepper: Path) -> list[str]:
    return [str(stepper), number("getppid")]


def by_popen(box: Sandbox, command: list[str], hold: HoldAll) -> Callable[[], Result]:
    process = box.popen(command, stdout=StdioMode.PIPED, handlers=[("getppid", hold)])

    def end() -> Result:
        stdout, _ = process.communicate(timeout=PATIENCE)
        return dataclasses.replace(process.wait(PATIENCE), stdout=stdout or b"")

    return end


def by_spawn(box: Sandbox, command: list[str], hold: HoldAll) -> Callable[[], Result]:
    box.spawn(command, handlers=[("getppid", hold)])
    return lambda: box.wait(PATIENCE)


def by_create(box: Sandbox, command: list[str], hold: HoldAll) -> Callable[[], Result]:
    box.create(command, handlers=[("getppid", hold)])
    assert box.held == []
    box.start()
    return lambda: box.wait(PATIENCE)


@pytest.mark.parametrize("start", [by_popen, by_spawn, by_create], ids=lambda start: start.__name__)
def test_commands_beside_the_host(
    step_box: Sandbox, command: list[str], start: Callable[[Sandbox, list[str], HoldAll], Callable[[], Result]]
) -> None:
    hold = HoldAll()
    end = start(step_box, command, hold)
    (ctx,) = hold.wait(step_box, 1)
    assert step_box.answer(ctx, NotifAction.returns(7))
    assert end().stdout.split() == [b"7", b"0"]
    assert not step_box.answer(ctx, EPERM)


def test_an_awaited_command(step_box: Sandbox, command: list[str]) -> None:
    """Whoever awaits it answers in the same loop."""
    held: list[HandlerCtx] = []

    class Hold(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            held.append(ctx)
            return NotifAction.hold()

    async def main() -> Result:
        run = asyncio.ensure_future(step_box.arun(command, handlers=[("getppid", Hold())], timeout=60))
        while not step_box.held:
            await asyncio.sleep(0.001)
        assert step_box.held == held
        assert step_box.answer(held[0], NotifAction.returns(7))
        return await run

    assert asyncio.run(main()).stdout.split() == [b"7", b"0"]


def test_a_command_that_is_paused(box: Sandbox) -> None:
    """It can be answered meanwhile, and goes on with that answer."""
    hold = HoldAll()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, ["sh", "-c", "cd / || echo refused"], handlers=[("chdir", hold)], timeout=60)
        (ctx,) = hold.wait(box, 1)
        box.pause()
        assert box.held == [ctx]
        assert ctx.read_path() == "/"
        assert box.answer(ctx, EPERM)
        assert not run.done()
        box.resume()
        assert run.result(PATIENCE).stdout == b"refused\n"


def test_asked_for_while_the_run_ends(box: Sandbox) -> None:
    """Whoever looks just then finds nothing held, and answers nothing."""
    stop = threading.Event()

    def look() -> set[object]:
        seen: set[object] = set()
        while not stop.is_set():
            seen.update(map(repr, box.held))
            seen.add(box.answer(1, EPERM))
        return seen

    with ThreadPoolExecutor(2) as pool:
        looks = [pool.submit(look) for _ in range(2)]
        try:
            for _ in range(50):
                box.run(["true"], handlers=[("umask", HoldAll())], check=True)
        finally:
            stop.set()
        assert [each.result(PATIENCE) for each in looks] == [{False}, {False}]
