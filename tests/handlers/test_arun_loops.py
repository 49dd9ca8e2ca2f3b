"""The loops that asynchronous handlers are awaited in: several threads' own, one for many runs, and busy ones."""

from __future__ import annotations

import asyncio
import errno
import functools
import gc
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.late import Asynchronous
from tests.support.processes import PATIENCE
from tests.support.sandboxes import tool_sandbox

CHDIR = ["sh", "-c", "cd / || echo refused"]
EPERM = NotifAction.errno(errno.EPERM)


def complete(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, PATIENCE))


class Awaiting(Handler):
    """Tells where it ran."""

    def __init__(self) -> None:
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.threads: set[threading.Thread] = set()

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(0)
        self.loops.add(asyncio.get_running_loop())
        self.threads.add(threading.current_thread())
        return EPERM


def test_loops_of_many_threads() -> None:
    """Each run's handlers are awaited in the loop that awaits the run."""
    barrier = threading.Barrier(8)

    async def main() -> None:
        for _ in range(5):
            handler = Awaiting()
            result = await tool_sandbox().arun(CHDIR, handlers=[("chdir", handler)])
            assert result.stdout == b"refused\n"
            assert handler.loops == {asyncio.get_running_loop()}
            assert handler.threads == {threading.current_thread()}

    def work(_: int) -> None:
        barrier.wait(PATIENCE)
        complete(main())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_a_handler_that_awaits_another_run(box: Sandbox) -> None:
    """In the same loop, three deep."""
    outputs: list[bytes] = []

    class Deeper(Handler):
        def __init__(self, depth: int) -> None:
            self._depth = depth

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            if self._depth:
                await run(self._depth - 1)
            return NotifAction.returns(self._depth)

    async def run(depth: int) -> None:
        handlers = [("umask", Deeper(depth))]
        outputs.append((await tool_sandbox().arun(["sh", "-c", "umask"], handlers=handlers, check=True)).stdout)

    complete(run(3))
    assert outputs == [b"0000\n"] * 2**3 or outputs[-1] == b"0003\n"


def test_a_handler_shared_by_runs_of_one_loop(box: Sandbox) -> None:
    """It is one object in one thread: it needs no lock."""

    class Counting(Handler):
        calls = 0
        at_once = 0
        most = 0

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            while self.calls == 0 and self.at_once < 2:
                await asyncio.sleep(0.001)  # until there are two
            self.calls += 1
            self.at_once -= 1
            return EPERM

    handler = Counting()

    async def main() -> None:
        runs = [tool_sandbox().arun(CHDIR, handlers=[("chdir", handler)]) for _ in range(10)]
        results = await asyncio.gather(*runs)
        assert {result.stdout for result in results} == {b"refused\n"}

    complete(main())
    assert (handler.calls, handler.at_once) == (10, 0)
    assert handler.most > 1


def test_the_time_limit_of_an_awaited_handler(box: Sandbox) -> None:
    """It is cancelled in the caller's loop."""
    handler = Asynchronous()

    async def main() -> None:
        handlers = [("chdir", handler)]
        result = await box.arun(CHDIR, handlers=handlers)
        assert result.stdout == b"refused\n"
        assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError]
        assert handler.cancelled.is_set()

    complete(main())


def test_a_loop_that_is_blocked(box: Sandbox) -> None:
    """The time limit is Go's: the child goes on although nobody in Python can say anything."""
    goes_on = threading.Event()

    class Blocked(Handler):
        handler_timeout = 0.05
        on_exception = EPERM

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            assert goes_on.wait(PATIENCE)  # the whole loop waits
            return CONTINUE

    def next_call(ctx: HandlerCtx) -> NotifAction:
        goes_on.set()
        return CONTINUE

    async def main() -> None:
        script = ["sh", "-c", "cd / || echo refused; umask >&2"]
        result = await box.arun(script, handlers=[("chdir", Blocked()), ("umask", Do(next_call))])
        assert result.stdout == b"refused\n"
        assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError]

    complete(main())


@pytest.mark.parametrize("handler", [Answer(EPERM), Awaiting()], ids=["sync", "async"])
def test_in_debug_mode(box: Sandbox, handler: Handler, caplog: pytest.LogCaptureFixture) -> None:
    """asyncio finds nothing that is called from the wrong thread."""

    async def main() -> None:
        result = await box.arun(CHDIR, handlers=[("chdir", handler)])
        assert (result.stdout, result.handler_errors) == (b"refused\n", [])

    asyncio.run(main(), debug=True)
    assert [record for record in caplog.records if "never" in record.getMessage()] == []


def test_a_loop_that_is_over_before_the_run(box: Sandbox) -> None:
    """Its end cancels the run, as everything else that it awaits."""
    asked = threading.Event()

    class Endless(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            asked.set()
            await asyncio.sleep(1000)
            return CONTINUE

    async def main() -> None:
        runs.append(asyncio.ensure_future(box.arun(CHDIR, handlers=[("chdir", Endless())])))
        assert await asyncio.get_running_loop().run_in_executor(None, asked.wait, PATIENCE)

    runs: list[asyncio.Future[Any]] = []
    asyncio.run(main())
    assert runs[0].cancelled()
    assert not box.is_running
    assert box.run(["true"]).success


class NotMarked(Handler):
    """A synchronous method that returns a coroutine: it does not look asynchronous."""

    def handle(self, ctx: HandlerCtx) -> Any:
        return self._answer()

    async def _answer(self) -> NotifAction:
        return EPERM


async def answer(action: NotifAction, ctx: HandlerCtx) -> NotifAction:
    return action


class Partial(Handler):
    def __init__(self, function: Any) -> None:
        self.handle = functools.partial(function, EPERM)  # type: ignore[method-assign]


class PartialOfAMethod(Partial):
    def __init__(self) -> None:
        super().__init__(functools.partial(self._answer, 1))

    async def _answer(self, number: int, action: NotifAction, ctx: HandlerCtx) -> NotifAction:
        return action


@pytest.mark.parametrize("handler", [Partial(answer), PartialOfAMethod()], ids=lambda handler: type(handler).__name__)
def test_a_partial_of_an_asynchronous_function(box: Sandbox, handler: Handler) -> None:
    assert box.run(CHDIR, handlers=[("chdir", handler)]).stdout == b"refused\n"


@pytest.mark.filterwarnings("error::RuntimeWarning")  # a coroutine that nobody awaits
def test_a_coroutine_that_a_synchronous_method_returns_is_no_answer(box: Sandbox) -> None:
    result = box.run(CHDIR, handlers=[("chdir", NotMarked())])
    assert result.reason == ExitReason.KILLED
    assert str(result.handler_errors[0].exception) == (
        "NotMarked.handle returned a coroutine; declare it with async def"
    )
    del result
    gc.collect()
