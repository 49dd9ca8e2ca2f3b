"""handler_threads says how many synchronous handlers are asked at once; calls beyond that wait and are not lost."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.processes import PATIENCE
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import Buffer, number, steps


@pytest.fixture
def crowd(program: Program) -> Path:
    return program("crowd")


class Barred(Handler):
    """Lets nobody go before so many are there at once; counts how many ever were."""

    def __init__(self, parties: int) -> None:
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(parties)
        self._now = 0
        self.most = 0

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        self._barrier.wait(PATIENCE)
        with self._lock:
            self._now -= 1
        return NotifAction.returns(ctx.args[0])


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 40])
def test_so_many_at_once_and_no_more(crowd: Path, threads: int) -> None:
    callers = 5 * threads
    box, handler = tool_sandbox([crowd], handler_threads=threads), Barred(threads)
    result = box.run([crowd, str(callers), number("getppid")], handlers=[("getppid", handler)], timeout=100, check=True)
    assert result.stdout.splitlines() == [b"%d 0" % index for index in range(callers)]
    assert handler.most == threads
    assert result.handler_errors == []


def test_eight_by_default(crowd: Path) -> None:
    handler = Barred(8)
    box = tool_sandbox([crowd])
    assert box.run([crowd, "16", number("getppid")], handlers=[("getppid", handler)], timeout=100).success
    assert handler.most == 8


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_many_rounds(crowd: Path, threads: int) -> None:
    box, handler = tool_sandbox([crowd], handler_threads=threads), Answer(NotifAction.returns(7))
    result = box.run([crowd, "20", number("getppid"), "200"], handlers=[("getppid", handler)], timeout=100, check=True)
    assert result.stdout.splitlines() == [b"7 0"] * 20
    assert handler.calls == 20 * 200


def test_all_are_busy_and_the_others_wait(crowd: Path) -> None:
    """Those that wait are received already: a signal no longer takes them away. They are asked in their order."""
    release, asked, order = threading.Event(), threading.Semaphore(0), list[int]()

    def handle(ctx: HandlerCtx) -> NotifAction:
        order.append(ctx.args[0])
        asked.release()
        assert release.wait(PATIENCE)
        return CONTINUE

    box, threads = tool_sandbox([crowd], handler_threads=2), 30
    done: list[Any] = []
    run = threading.Thread(
        target=lambda: done.append(
            box.run([crowd, str(threads), number("getppid")], handlers=[("getppid", Do(handle))], timeout=100)
        )
    )
    run.start()
    for _ in range(2):
        assert asked.acquire(timeout=PATIENCE)
    assert not asked.acquire(timeout=0.05)
    release.set()
    run.join()
    assert done[0].success
    assert sorted(order) == list(range(threads))


def test_a_slow_handler_holds_up_nobody_else(crowd: Path) -> None:
    """It ends when all others have been answered."""
    callers = 50
    others, all_answered = threading.Semaphore(0), list[bool]()

    def handle(ctx: HandlerCtx) -> NotifAction:
        if ctx.args[0] == 0:
            all_answered.extend(others.acquire(timeout=PATIENCE) for _ in range(callers - 1))
        else:
            others.release()
        return CONTINUE

    box = tool_sandbox([crowd], handler_threads=2)
    assert box.run([crowd, str(callers), number("getppid")], handlers=[("getppid", Do(handle))], timeout=100).success
    assert all_answered == [True] * (callers - 1)


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("sandlock")]


def test_threads_are_started_as_they_are_needed(box: Sandbox) -> None:
    names: set[str] = set()

    class Look(Answer):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            names.update(workers())
            return CONTINUE

    box.handler_threads = 1000
    box.run(["sh", "-c", "umask"], handlers=[("umask", Look())], check=True)
    assert {"sandlock-0"} <= names <= {f"sandlock-{index}" for index in range(4)}


def test_no_thread_without_handlers(box: Sandbox) -> None:
    before = set(threading.enumerate())
    box.run(["true"], check=True)
    assert set(threading.enumerate()) == before


def test_one_context_in_many_threads(step_box: Sandbox, stepper: Path) -> None:
    """All of them while its call waits: each reads what it has written, at a place of its own."""
    count, failed = 8, list[int]()

    def use(ctx: HandlerCtx, index: int) -> None:
        address = ctx.args[0] + index
        for turn in range(100):
            byte = bytes([index * turn % 256])
            if not ctx.write(address, byte) or ctx.read(address, 1) != byte or ctx.cwd != os.getcwd():
                failed.append(index)

    def handle(ctx: HandlerCtx) -> NotifAction:
        threads = [threading.Thread(target=use, args=(ctx, index)) for index in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return NotifAction.returns(7)

    told = steps(step_box, stepper, ("getppid", Buffer(count)), handlers=[("getppid", Do(handle))])
    assert (told[0].result, failed) == (7, [])
    assert told[0].data == bytes(index * 99 % 256 for index in range(count))


def test_a_thread_of_a_handlers_own_that_goes_on(step_box: Sandbox, stepper: Path) -> None:
    """What it asks a context for after the answer is None; it asks nobody else's memory."""
    answered, seen = threading.Event(), list[object]()

    def look(ctx: HandlerCtx) -> None:
        assert answered.wait(PATIENCE)
        seen.extend((ctx.read(ctx.args[0], 4), ctx.write(ctx.args[0], b"late")))

    threads: list[threading.Thread] = []

    def first(ctx: HandlerCtx) -> NotifAction:
        threads.append(threading.Thread(target=look, args=(ctx,)))
        threads[0].start()
        return CONTINUE

    def second(ctx: HandlerCtx) -> NotifAction:
        answered.set()
        threads[0].join()
        return CONTINUE

    handlers = [("getppid", Do(first)), ("getsid", Do(second))]
    told = steps(step_box, stepper, ("getppid", Buffer(4)), ("getsid", 0), handlers=handlers)
    assert (seen, told[0].data) == ([None, False], bytes(4))


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "none": (0, ValueError, "from 1 to 1024, not 0"),
    "negative": (-1, ValueError, "not -1"),
    "many": (1025, ValueError, "not 1025"),
    "text": ("8", TypeError, "must be an int, not '8'"),
    "bool": (True, TypeError, "must be an int, not True"),
    "float": (8.0, TypeError, "must be an int, not 8.0"),
    "None": (None, TypeError, "must be an int, not None"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_number(box: Sandbox, wrong: str) -> None:
    value, error, words = WRONG[wrong]
    box.handler_threads = value
    with pytest.raises(error, match=f"handler_threads .*{words}"):
        box.run(["true"])


def test_the_process_may_have_no_more_threads(crowd: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The calls are answered by those that there are."""
    handler, usual = Barred(2), threading.stack_size()

    class Exhausting(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            while len(workers()) < 2:  # both are started with the run
                threading.Event().wait(0.001)
            threading.stack_size(1 << 46)  # more than there are addresses
            return handler.handle(ctx)

    try:
        result = tool_sandbox([crowd]).run(
            [crowd, "10", number("getppid")], handlers=[("getppid", Exhausting())], timeout=100
        )
    finally:
        threading.stack_size(usual)
    assert (result.success, result.handler_errors) == (True, [])
    assert handler.most in (2, 3), "one more may have been started just before"
    assert caplog.records == []


def _workers() -> int:
    return sum(re.fullmatch(r"sandlock-\d+", thread.name) is not None for thread in threading.enumerate())


def test_one_until_there_is_something_to_decide() -> None:
    """Then a second one, which takes over when a decision takes long."""
    seen: list[int] = []

    def count(ctx: HandlerCtx) -> NotifAction:
        seen.append(_workers())
        return CONTINUE

    with tool_sandbox() as box:
        box.create(["sh", "-c", "umask"], handlers=[("umask", Do(count))])
        idle = _workers()
        box.start()
        assert box.wait(PATIENCE).success
    assert (idle, seen[0]) == (1, 2)
