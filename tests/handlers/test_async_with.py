"""async with sandbox: what still runs at its end is killed, while the event loop goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.processes import PATIENCE, Watched, children, open_fds
from tests.support.sandboxes import tool_sandbox

TREE = [
    "sh",
    "-c",
    "trap '' TERM INT HUP; setsid setsid sh -c 'umask >&2; exec sleep 1000' & umask >&2; exec sleep 1000",
]


def complete(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, and see that nothing is left of it."""
    tool_sandbox().run(["true"], handlers=[("chdir", Answer())])  # what the Go runtime opens for good
    fds = open_fds()
    asyncio.run(asyncio.wait_for(main, PATIENCE))
    assert children() == set()
    assert open_fds() == fds


class Up(Handler):
    """Tells the loop when both processes of the tree are up."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.watched: dict[int, Watched] = {}

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        if ctx.pid not in self.watched:
            self.watched[ctx.pid] = Watched(ctx.pid)
        if len(self.watched) == 2:
            self.event.set()
        return CONTINUE

    def all_gone(self) -> bool:
        gone = []
        for process in self.watched.values():
            with process:
                gone.append(process.gone(0))
        return len(gone) == 2 and all(gone)


def test_commands(box: Sandbox) -> None:
    async def main() -> None:
        async with box as same:
            assert same is box
            assert (await box.arun(["echo", "one"])).stdout == b"one\n"
            assert (await box.arun(["echo", "two"])).stdout == b"two\n"
        assert (await box.arun(["echo", "after"])).stdout == b"after\n"

    complete(main())


def test_what_is_awaited_elsewhere_is_killed(box: Sandbox) -> None:
    async def main() -> None:
        up = Up()
        async with box:
            run = asyncio.ensure_future(box.arun(TREE, handlers=[("umask", up)]))
            await up.event.wait()
        assert up.all_gone()
        assert (await run).reason == ExitReason.KILLED

    complete(main())


def test_an_exception_comes_through(box: Sandbox) -> None:
    runs: list[asyncio.Future[Any]] = []

    async def body(up: Up) -> None:
        async with box:
            runs.append(asyncio.ensure_future(box.arun(TREE, handlers=[("umask", up)])))
            await up.event.wait()
            raise LookupError

    async def main() -> None:
        up = Up()
        with pytest.raises(LookupError):
            await body(up)
        assert up.all_gone()
        assert (await runs[0]).reason == ExitReason.KILLED

    complete(main())


def test_cancelled(box: Sandbox) -> None:
    """With the run inside, and with a run beside it."""

    async def inside(up: Up) -> None:
        async with box:
            await box.arun(TREE, handlers=[("umask", up)])

    async def beside(up: Up) -> None:
        async with box:
            run = asyncio.ensure_future(box.arun(TREE, handlers=[("umask", up)]))
            try:
                await asyncio.sleep(1000)
            finally:
                assert not run.done()

    async def main() -> None:
        for body in (inside, beside):
            up = Up()
            task = asyncio.ensure_future(body(up))
            await up.event.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert up.all_gone()
            while box.is_running:  # the task of arun may have its last step before it
                await asyncio.sleep(0)

    complete(main())


def test_what_was_spawned_is_killed(box: Sandbox) -> None:
    """Its handlers are awaited in a loop of their own; the caller's goes on while its end is waited for."""
    asked, go_on = threading.Event(), threading.Event()

    def handle(ctx: HandlerCtx) -> NotifAction:
        asked.set()
        assert go_on.wait(PATIENCE)
        return CONTINUE

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with box:
            box.spawn(["sh", "-c", "umask; exec sleep 1000"], handlers=[("umask", Do(handle))])
            assert await loop.run_in_executor(None, asked.wait, PATIENCE)
            loop.call_later(0.05, go_on.set)
        assert go_on.is_set(), "the handler was waited for, and the loop went on"
        assert not box.is_running

    complete(main())
