"""await sandbox.arun(...): the caller's event loop goes on, and awaits the asynchronous handlers."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from sandlock import (
    ChildError,
    ExitReason,
    Handler,
    HandlerCtx,
    HandlerError,
    NotifAction,
    PolicyError,
    Sandbox,
)
from tests.support.handlers import CONTINUE, Answer, Do, Fail
from tests.support.processes import PATIENCE, Watched, open_fds
from tests.support.sandboxes import tool_sandbox

CHDIR = ["sh", "-c", "cd / || echo refused"]
EPERM = NotifAction.errno(errno.EPERM)

T = TypeVar("T")


def complete(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, and see that nothing is left of it."""
    tool_sandbox().run(["true"], handlers=[("chdir", Answer())])  # what the Go runtime opens for good
    threads, fds = set(threading.enumerate()), open_fds()
    result = asyncio.run(asyncio.wait_for(main, PATIENCE))
    assert set(threading.enumerate()) <= threads
    assert open_fds() == fds
    return result


class Awaiting(Handler):
    """Answers after a turn of the event loop, and tells where it ran."""

    def __init__(self, action: NotifAction = CONTINUE) -> None:
        self._action = action
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.threads: set[threading.Thread] = set()

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(0)
        self.loops.add(asyncio.get_running_loop())
        self.threads.add(threading.current_thread())
        assert asyncio.current_task() is not None
        return self._action


def test_a_command(box: Sandbox) -> None:
    result = complete(box.arun(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"hello"))
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"hello", b"err\n")


def test_handlers_run_in_the_callers_loop(box: Sandbox) -> None:
    handler = Awaiting(EPERM)

    async def main() -> None:
        result = await box.arun(CHDIR, handlers=[("chdir", handler)])
        assert result.stdout == b"refused\n"
        assert handler.loops == {asyncio.get_running_loop()}
        assert handler.threads == {threading.current_thread()}

    complete(main())


def test_a_handler_may_meet_the_caller(box: Sandbox) -> None:
    """They share the loop, and so its events."""

    async def main() -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        class Meeting(Handler):
            async def handle(self, ctx: HandlerCtx) -> NotifAction:
                asked.set()
                await answer.wait()
                return EPERM

        run = asyncio.ensure_future(box.arun(CHDIR, handlers=[("chdir", Meeting())]))
        await asked.wait()
        assert not run.done()
        answer.set()
        assert (await run).stdout == b"refused\n"

    complete(main())


@pytest.mark.parametrize("kind", ["sync", "mixed"])
def test_the_loop_goes_on_while_a_handler_waits_for_it(box: Sandbox, kind: str) -> None:
    """The handler ends only when the loop has gone on; the run is over already by then."""
    gone, go_on = threading.Event(), threading.Event()

    def outlive(ctx: HandlerCtx) -> NotifAction:
        with Watched(ctx.pid) as caller:
            box.kill()
            assert caller.gone()
        gone.set()
        assert go_on.wait(PATIENCE)
        return CONTINUE

    async def main() -> None:
        handlers: list[tuple[str, Handler]] = [("chdir", Do(outlive))]
        if kind == "mixed":
            handlers.append(("chdir", Awaiting()))
        run = asyncio.ensure_future(box.arun(CHDIR, handlers=handlers))
        while not gone.is_set():
            await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0.001)  # the run would block the loop meanwhile
        go_on.set()
        assert (await run).reason == ExitReason.KILLED

    complete(main())


@pytest.mark.parametrize("handler", [Awaiting(), Answer()], ids=["async", "sync"])
def test_timeout(box: Sandbox, handler: Handler) -> None:
    result = complete(box.arun(["sh", "-c", "cd /; exec sleep 1000"], timeout=0.1, handlers=[("chdir", handler)]))
    assert (result.reason, result.exit_code) == (ExitReason.TIMEOUT, -1)


class Up(Handler):
    """Tells the loop when the command is up, and opens a pidfd of each caller."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.watched: list[Watched] = []

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.watched.append(Watched(ctx.pid))
        self.event.set()
        return CONTINUE

    def all_gone(self) -> bool:
        gone = []
        for process in self.watched:
            with process:
                gone.append(process.gone(0))
        return bool(gone) and all(gone)


TREE = "trap '' TERM INT HUP; setsid setsid sh -c 'umask >&2; exec sleep 1000' & umask >&2; exec sleep 1000"


def test_cancelled(box: Sandbox) -> None:
    """The whole tree is gone when the cancellation is through."""

    async def main() -> None:
        up = Up()
        run = asyncio.ensure_future(box.arun(["sh", "-c", TREE], handlers=[("umask", up)]))
        await up.event.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert up.all_gone()
        assert not box.is_running
        assert (await box.arun(["echo", "again"])).stdout == b"again\n"

    complete(main())


def test_cancelled_twice(box: Sandbox) -> None:
    async def main() -> None:
        up = Up()
        run = asyncio.ensure_future(box.arun(["sh", "-c", TREE], handlers=[("umask", up)]))
        await up.event.wait()
        run.cancel()
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert up.all_gone()
        assert (await box.arun(["echo", "again"])).stdout == b"again\n"

    complete(main())


def test_cancelled_while_a_handler_is_awaited(box: Sandbox) -> None:
    async def main() -> None:
        asked, cancelled = asyncio.Event(), asyncio.Event()

        class Endless(Handler):
            async def handle(self, ctx: HandlerCtx) -> NotifAction:
                asked.set()
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    cancelled.set()
                    raise
                return CONTINUE

        run = asyncio.ensure_future(box.arun(CHDIR, handlers=[("chdir", Endless())]))
        await asked.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert cancelled.is_set()

    complete(main())


def test_wait_for_gives_up(box: Sandbox) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(box.arun(["sleep", "1000"]), 0.05)
        assert not box.is_running

    complete(main())


@pytest.mark.parametrize("kind", [Awaiting, Answer])
def test_twenty_at_once(kind: Any) -> None:
    async def one(number: int) -> None:
        handler = kind(NotifAction.returns(number))
        result = await tool_sandbox().arun(["sh", "-c", "umask"], handlers=[("umask", handler)])
        assert result.stdout == b"%04o\n" % number

    async def main() -> None:
        await asyncio.gather(*(one(number) for number in range(20)))

    complete(main())


def test_one_command_at_a_time(box: Sandbox) -> None:
    async def main() -> None:
        up = Up()
        run = asyncio.ensure_future(box.arun(["sh", "-c", TREE], handlers=[("umask", up)]))
        await up.event.wait()
        with pytest.raises(RuntimeError, match="is running a command already"):
            await box.arun(["true"])
        with pytest.raises(RuntimeError, match="is running a command already"):
            box.run(["true"])
        box.kill()
        assert (await run).reason == ExitReason.KILLED
        assert up.all_gone()

    complete(main())


def test_errors(box: Sandbox) -> None:
    async def main() -> None:
        with pytest.raises(PolicyError):
            await box.arun([])
        with pytest.raises(TypeError, match=r"handlers\[0\]"):
            await box.arun(["true"], handlers=[("chdir", 1)])  # type: ignore[list-item]
        with pytest.raises(ChildError):
            await box.arun(["false"], check=True)
        with pytest.raises(HandlerError):
            await box.arun(CHDIR, handlers=[("chdir", Fail(OSError()), EPERM)], raise_handler_errors=True)
        with pytest.raises(SystemExit):
            await box.arun(CHDIR, handlers=[("chdir", Fail(SystemExit()), EPERM)])
        assert (await box.arun(["nosuchprogram"], handlers=[("chdir", Awaiting())])).exit_code == 127

    complete(main())


def test_context_variables_are_not_those_of_the_run(box: Sandbox) -> None:
    """Nothing of a handler's task comes into the caller's."""

    class Naming(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            task = asyncio.current_task()
            assert task is not None
            task.set_name("a handler's")
            return CONTINUE

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        name = task.get_name()
        result = await box.arun(CHDIR, handlers=[("chdir", Naming())])
        assert result.handler_errors == []
        assert task.get_name() == name

    complete(main())


def test_a_pidfd_of_the_command(box: Sandbox) -> None:
    async def main() -> None:
        pids: list[int | None] = []

        class Look(Handler):
            async def handle(self, ctx: HandlerCtx) -> NotifAction:
                pids.append(box.pid)
                assert os.getpgid(ctx.pid) == box.pid
                return CONTINUE

        result = await box.arun(CHDIR, handlers=[("chdir", Look())])
        assert result.handler_errors == []
        assert pids[0]

    complete(main())


def test_a_coroutine_that_is_closed(box: Sandbox) -> None:
    """As the interpreter does with one whose loop has ended."""

    async def main() -> None:
        run = box.arun(["sleep", "1000"], handlers=[("chdir", Awaiting())])
        run.send(None)
        assert box.is_running
        run.close()
        assert not box.is_running
        assert (await box.arun(["echo", "again"])).stdout == b"again\n"

    complete(main())
