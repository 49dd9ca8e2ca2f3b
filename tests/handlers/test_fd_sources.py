"""What an answer's descriptor may come from, and how it may be given: it is closed once in any case."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox, SandboxError
from tests.support.handlers import Answer, Do
from tests.support.processes import open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

TIMES = 1000

HOLD = NotifAction.hold()


@pytest.fixture(autouse=True)
def _nothing_is_closed_or_stays_open(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, logger="sandlock")  # a kept record keeps a traceback
    tool_sandbox().run(["true"], handlers=[("getppid", Answer())], check=True)  # what the Go runtime opens for good
    before = open_fds()
    yield
    assert open_fds() == before


@pytest.fixture
def opens(program: Program) -> Path:
    """Calls openat2 many times."""
    return program("opens")


@pytest.fixture
def open_box(opens: Path) -> Sandbox:
    return tool_sandbox([opens], on_exception=NotifAction.errno(errno.EIO))


def opened() -> int:
    return os.open("/dev/null", os.O_RDONLY)


class OnlyANumber:
    """Has a descriptor, and no close()."""

    def __init__(self) -> None:
        self._fd = opened()

    def fileno(self) -> int:
        return self._fd


class Counting(OnlyANumber):
    """Counts how often it is closed."""

    closed = 0

    def close(self) -> None:
        type(self).closed += 1
        os.close(self._fd)


def one_end_of_a_pair() -> socket.socket:
    ours, other = socket.socketpair()
    other.close()
    return ours


SOURCES: dict[str, Callable[[], Any]] = {
    "int": opened,
    "binary file": lambda: Path("/dev/null").open("rb"),
    "unbuffered file": lambda: Path("/dev/null").open("rb", buffering=0),
    "text file": lambda: Path("/dev/null").open(),
    "socket": one_end_of_a_pair,
    "no close": OnlyANumber,
    "close": Counting,
}


@pytest.mark.parametrize("source", SOURCES)
def test_source(open_box: Sandbox, opens: Path, source: str) -> None:
    make, before = SOURCES[source], Counting.closed
    handler = Do(lambda ctx: NotifAction.inject_fd_send(make()))
    result = open_box.run([opens, str(TIMES), "close"], handlers=[("openat2", handler)], check=True)
    assert (result.stdout.split(), result.handler_errors) == ([b"%d" % TIMES, b"0", b"0"], [])
    assert Counting.closed - before == (TIMES if source == "close" else 0)


class Awaiting(Handler):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        action = NotifAction.inject_fd_send(Counting())
        await asyncio.sleep(0)
        return action


def test_given_by_an_asynchronous_handler(open_box: Sandbox, opens: Path) -> None:
    before = Counting.closed
    result = open_box.run([opens, str(TIMES), "close"], handlers=[("openat2", Awaiting())], check=True)
    assert (result.stdout.split(), result.handler_errors) == ([b"%d" % TIMES, b"0", b"0"], [])
    assert Counting.closed - before == TIMES


def test_given_to_a_held_call(open_box: Sandbox, opens: Path) -> None:
    """By two threads, of which one comes too late each time."""
    before, given = Counting.closed, threading.Semaphore(0)

    def answer_all(run: Any) -> int:
        answers = 0
        while not run.done():
            for ctx in open_box.held:
                given.release()
                answers += open_box.answer(ctx, NotifAction.inject_fd_send(Counting()))
            threading.Event().wait(0.0005)  # no event tells that a call is held
        return answers

    with ThreadPoolExecutor(3) as pool:
        run = pool.submit(open_box.run, [opens, str(TIMES), "close"], handlers=[("openat2", Answer(HOLD))], timeout=100)
        answers = list(pool.map(answer_all, [run, run]))
    assert run.result().stdout.split() == [b"%d" % TIMES, b"0", b"0"]
    assert sum(answers) == TIMES
    made = 0
    while given.acquire(blocking=False):
        made += 1
    assert Counting.closed - before == made >= TIMES


def test_closed_by_its_owner_before_it_is_given(open_box: Sandbox, opens: Path) -> None:
    """The call fails, and whoever has the number by then keeps it."""
    strangers: list[int] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        file = Path("/dev/null").open("rb")
        action = NotifAction.inject_fd_send(file)
        file.close()
        strangers.append(opened())
        if len(strangers) == 3:
            os.close(strangers.pop(0))
        return action

    result = open_box.run([opens, str(TIMES), "close"], handlers=[("openat2", Do(handle))], check=True)
    assert result.stdout.split() == [b"0", b"%d" % TIMES, b"%d" % errno.EIO]
    assert {type(failure.exception) for failure in result.handler_errors} == {SandboxError}
    for fd in strangers:
        os.close(fd)  # it is open still


class Reopened(OnlyANumber):
    """Has another descriptor than when the answer was made."""

    def fileno(self) -> int:
        self._fd, before = os.dup(self._fd), self._fd
        os.close(before)
        return self._fd


def test_an_object_whose_descriptor_changes(open_box: Sandbox, opens: Path) -> None:
    """It is an error, and what it has by then stays its own."""
    made: list[Reopened] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        made.append(Reopened())
        return NotifAction.inject_fd_send(made[-1])

    result = open_box.run([opens, "1", "close"], handlers=[("openat2", Do(handle))], check=True)
    assert result.stdout.split() == [b"0", b"1", b"%d" % errno.EIO]
    assert [type(failure.exception) for failure in result.handler_errors] == [SandboxError]
    os.close(made[0]._fd)
