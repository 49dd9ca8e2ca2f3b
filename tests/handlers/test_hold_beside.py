"""Held calls of commands that run beside the host, or are awaited, and of runs that just end."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, Result, Sandbox, StdioMode
from tests.support.held import HoldAll
from tests.support.processes import PATIENCE, open_fds
from tests.support.programs import Program
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


def test_an_asynchronous_process(step_box: Sandbox, command: list[str]) -> None:
    async def main() -> bytes:
        async with await step_box.apopen(command, stdout=StdioMode.PIPED, handlers=[("getppid", HoldAll())]) as process:
            while not process.held:
                await asyncio.sleep(0.001)
            (ctx,) = process.held
            assert process.answer(ctx, NotifAction.returns(7))
            assert not process.answer(ctx.id, EPERM)
            assert process.stdout is not None
            output = await process.stdout.read()
        assert (await process.wait()).held == []
        return output

    assert asyncio.run(main()).split() == [b"7", b"0"]


def test_a_process_that_is_over(step_box: Sandbox, command: list[str]) -> None:
    """Nothing is held any more. What it left is in the result, and an answer is too late: its descriptor is closed."""
    hold = HoldAll()
    with step_box.popen(command, handlers=[("getppid", hold)]) as process:
        (ctx,) = hold.wait(process, 1)
        assert process.held == [ctx]
        process.kill()
    before = open_fds()
    assert process.held == []
    assert not process.answer(ctx, NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY)))
    assert open_fds() == before
    result = process.wait()
    assert result.reason == ExitReason.KILLED
    assert [(each.id, each.pid, each.syscall, each.args) for each in result.held] == [
        (ctx.id, ctx.pid, ctx.syscall_nr, ctx.args)
    ]


def test_the_result_tells_what_was_left_of_many(step_box: Sandbox, program: Program) -> None:
    crowd, hold, count = program("crowd"), HoldAll(), 20
    step_box.fs_readable = [*step_box.fs_readable, crowd]
    step_box.spawn([crowd, str(count), number("getppid")], handlers=[("getppid", hold)])
    held = hold.wait(step_box, count)
    for ctx in held[::2]:
        assert step_box.answer(ctx, EPERM)
    step_box.kill()
    assert {each.args[0] for each in step_box.wait().held} == {ctx.args[0] for ctx in held[1::2]}


@pytest.mark.parametrize("failing", [False, True])
def test_observers_learn_both(step_box: Sandbox, command: list[str], failing: bool) -> None:
    """What they raise is a failure of theirs, and none of who answers."""
    told: list[NotifAction] = []

    class Observer(Handler):
        observe = True

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            return NotifAction.continue_()

        def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
            told.append(action)
            if failing:
                raise LookupError

    hold, observer, action = HoldAll(), Observer(), NotifAction.returns(7)
    step_box.spawn(command, handlers=[("getppid", observer), ("getppid", hold)])
    (ctx,) = hold.wait(step_box, 1)
    assert step_box.answer(ctx, action)
    assert not step_box.answer(ctx, EPERM)
    result = step_box.wait(PATIENCE)
    assert result.stdout.split() == [b"7", b"0"]
    assert told == [NotifAction.hold(), action]
    assert [failure.handler for failure in result.handler_errors] == [observer] * (2 if failing else 0)


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
