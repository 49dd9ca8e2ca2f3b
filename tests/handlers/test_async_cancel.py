"""An asynchronous handler is cancelled when nobody waits for its answer any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Do
from tests.support.processes import PATIENCE, MakeFifo, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


class Endless(Handler):
    """Never answers by itself, and tells what becomes of it."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.cancelled = threading.Event()
        self.cancellations = 0

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.asked.set()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            self.cancellations += 1
            self.cancelled.set()
            raise
        return CONTINUE


def test_the_caller_is_killed_by_its_sibling(box: Sandbox, make_fifo: MakeFifo) -> None:
    """The run goes on, and waits here for the cancellation."""
    go = make_fifo("go")
    box.fs_readable = [*box.fs_readable, go.path]
    handler = Endless()

    def release(ctx: HandlerCtx) -> NotifAction:
        assert handler.asked.wait(PATIENCE)
        go.release()
        return CONTINUE

    def meet(ctx: HandlerCtx) -> NotifAction:
        assert handler.cancelled.wait(PATIENCE)
        return CONTINUE

    first = iter([release])
    script = f"cd / & umask >&2; read line <{go.path}; kill -KILL $!; wait $!; echo $?; ulimit -n >&2"
    handlers = [
        ("chdir", handler),
        ("umask", Do(lambda ctx: next(first, lambda ctx: CONTINUE)(ctx))),
        ("prlimit64", Do(lambda ctx: meet(ctx) if handler.asked.is_set() else CONTINUE)),
    ]
    result = box.run(["sh", "-c", script], handlers=handlers, timeout=100)
    assert (result.stdout, result.handler_errors) == (b"137\n", [])
    assert handler.cancellations == 1


def test_the_caller_is_ended_by_its_own_thread(program: Program) -> None:
    """Many times, each while one thread's call is awaited; the parent goes on when the coroutine was cancelled."""
    mortal, handler, times = program("mortal"), Endless(), 50

    def before_the_end(ctx: HandlerCtx) -> NotifAction:
        assert handler.asked.wait(PATIENCE)
        handler.asked.clear()
        return CONTINUE

    def after_the_end(ctx: HandlerCtx) -> NotifAction:
        assert handler.cancelled.wait(PATIENCE)
        handler.cancelled.clear()
        return CONTINUE

    handlers: list[tuple[str, Handler]] = [
        ("openat2", handler),
        ("getpgid", Do(before_the_end)),
        ("getppid", Do(after_the_end)),
    ]
    result = tool_sandbox([mortal]).run([mortal, str(times)], handlers=handlers, timeout=100)
    assert (result.success, result.handler_errors) == (True, [])
    assert handler.cancellations == times


@pytest.mark.parametrize("end", ["kill", "timeout"])
def test_the_run_ends(box: Sandbox, end: str) -> None:
    handler = Endless()

    def kill() -> None:
        assert handler.asked.wait(PATIENCE)
        box.kill()

    killer = threading.Thread(target=kill)
    if end == "kill":
        killer.start()
    result = box.run(["sh", "-c", "cd /"], handlers=[("chdir", handler)], timeout=60 if end == "kill" else 1)
    assert result.reason == (ExitReason.KILLED if end == "kill" else ExitReason.TIMEOUT)
    assert (handler.cancellations, result.handler_errors) == (1, [])
    if end == "kill":
        killer.join()


def test_what_it_returns_all_the_same_is_discarded(box: Sandbox) -> None:
    """Its descriptor is closed."""
    before = open_fds()

    class Stubborn(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            box.kill()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)
            return NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY))

    result = box.run(["sh", "-c", "cd /"], handlers=[("chdir", Stubborn())])
    assert (result.reason, result.handler_errors) == (ExitReason.KILLED, [])
    assert open_fds() == before


def test_an_exception_while_it_is_cancelled_is_kept(box: Sandbox) -> None:
    class Failing(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            box.kill()
            try:
                await asyncio.sleep(1000)
            finally:
                raise LookupError("on purpose")

    result = box.run(["sh", "-c", "cd /"], handlers=[("chdir", Failing())])
    assert [type(failure.exception) for failure in result.handler_errors] == [LookupError]


def test_tasks_that_a_handler_leaves_behind(box: Sandbox) -> None:
    """They end with the run's loop; nothing is printed of them."""
    cancelled = threading.Event()

    async def linger() -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    class Leaving(Handler):
        def __init__(self) -> None:
            self.left: list[asyncio.Task[None]] = []

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            self.left.append(asyncio.get_running_loop().create_task(linger()))
            await asyncio.sleep(0)
            return CONTINUE

    handler = Leaving()
    box.run(["sh", "-c", "cd /"], handlers=[("chdir", handler)], check=True)
    assert cancelled.is_set()
    assert all(task.cancelled() for task in handler.left)


def test_interrupted_calls_come_again(box: Sandbox) -> None:
    """A signal that the child handles does not take the call away once it was received."""
    handler = Endless()

    class Signals(Handler):
        def __init__(self) -> None:
            self.calls = 0

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            self.calls += 1
            os.kill(ctx.pid, signal.SIGUSR1)
            await asyncio.sleep(0.05)
            return CONTINUE

    signals = Signals()
    result = box.run(["sh", "-c", "trap 'echo caught' USR1; cd /; echo end"], handlers=[("chdir", signals)])
    assert result.stdout == b"caught\nend\n"
    assert signals.calls == 1
    assert not handler.asked.is_set()
