"""The descriptor of an answer is closed once, whatever becomes of the call."""

from __future__ import annotations

import errno
import gc
import logging
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, NotifError, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do, Fail
from tests.support.processes import PATIENCE, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

TIMES = 1000

SOURCE = "/dev/null"


def opened() -> int:
    return os.open(SOURCE, os.O_RDONLY)


@pytest.fixture(autouse=True)
def _nothing_stays_open(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.CRITICAL, logger="sandlock")  # a kept record keeps a traceback
    tool_sandbox().run(["true"], handlers=[("getppid", Answer())], check=True)  # what the Go runtime opens for good
    gc.collect()
    before = open_fds()
    yield
    gc.collect()
    assert open_fds() == before


@pytest.fixture
def opens(program: Program) -> Path:
    """Calls openat2 many times, and getppid after each."""
    return program("opens")


@pytest.fixture
def open_box(opens: Path) -> Sandbox:
    """A sandbox for it, in which /dev/null is known to be readable."""
    return tool_sandbox([opens])


def told(stdout: bytes) -> list[int]:
    """Return how many opens succeeded and failed, and the last errno."""
    return [int(word) for word in stdout.split()]


@pytest.mark.parametrize("how", ["sent", "tracked", "bytes", "placed"])
def test_success(open_box: Sandbox, opens: Path, how: str) -> None:
    numbers: list[int] = []

    def handle(ctx: HandlerCtx) -> NotifAction:
        if how == "sent":
            return NotifAction.inject_fd_send(opened())
        if how == "tracked":
            return NotifAction.inject_fd_send_tracked(opened(), on_success=numbers.append)
        if how == "bytes":
            return NotifAction.inject_bytes(b"x")
        return NotifAction.inject_fd(opened(), 9)

    result = open_box.run([opens, str(TIMES), "close"], handlers=[("openat2", Do(handle))], check=True)
    assert told(result.stdout) == [TIMES, 0, 0]
    assert result.handler_errors == []
    assert len(numbers) == (TIMES if how == "tracked" else 0)


class OutlivesItsCaller(Handler):
    """Answers a call with a descriptor when its process is gone: see programs/mortal.c for the order of the calls."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._gone = threading.Event()
        self.answered = 0

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        """openat2, pending when its process ends."""
        self._gone.clear()
        self._asked.set()
        assert self._gone.wait(PATIENCE)
        self.answered += 1
        return NotifAction.inject_fd_send(opened())

    def before_the_end(self, ctx: HandlerCtx) -> NotifAction:
        """getpgid, of the thread that then ends the process."""
        assert self._asked.wait(PATIENCE)
        self._asked.clear()
        return CONTINUE

    def after_the_end(self, ctx: HandlerCtx) -> NotifAction:
        """getppid, of its parent."""
        self._gone.set()
        return CONTINUE


def test_the_child_killed_in_between(program: Program) -> None:
    mortal, handler = program("mortal"), OutlivesItsCaller()
    handlers: list[tuple[str, Handler]] = [
        ("openat2", handler),
        ("getpgid", Do(handler.before_the_end)),
        ("getppid", Do(handler.after_the_end)),
    ]
    result = tool_sandbox([mortal]).run([mortal, str(TIMES)], handlers=handlers, timeout=100)
    assert result.success, result
    assert handler.answered == TIMES
    assert result.handler_errors == []


def test_a_full_table_of_the_child(opens: Path) -> None:
    box = tool_sandbox([opens], max_open_files=64)
    result = box.run(
        [opens, str(TIMES), "keep"], handlers=[("openat2", Do(lambda ctx: NotifAction.inject_fd_send(opened())))]
    )
    succeeded, failed, error = told(result.stdout)
    assert (succeeded + failed, error) == (TIMES, errno.EMFILE)
    assert failed >= TIMES - 64
    assert [type(failure.exception) for failure in result.handler_errors] == [NotifError] * failed


def test_an_exception_after_the_action_was_made(open_box: Sandbox, opens: Path) -> None:
    """It was not returned, and is the handler's to close: sandlock does not do it a second time."""

    def handle(ctx: HandlerCtx) -> NotifAction:
        fd = opened()
        try:
            NotifAction.inject_fd_send(fd)
            raise LookupError
        finally:
            os.close(fd)

    open_box.on_exception = NotifAction.errno(errno.EIO)
    result = open_box.run([opens, str(TIMES), "close"], handlers=[("openat2", Do(handle))], check=True)
    assert told(result.stdout) == [0, TIMES, errno.EIO]
    assert {type(failure.exception) for failure in result.handler_errors} == {LookupError}


def test_files_of_an_exception_go_with_its_result(open_box: Sandbox, opens: Path) -> None:
    def handle(ctx: HandlerCtx) -> NotifAction:
        NotifAction.inject_fd_send(Path(SOURCE).open("rb"))
        raise LookupError

    open_box.on_exception = NotifAction.errno(errno.EIO)
    result = open_box.run([opens, str(TIMES), "close"], handlers=[("openat2", Do(handle))], check=True)
    assert len(result.handler_errors) == TIMES


def test_an_answer_after_the_time_limit(open_box: Sandbox, opens: Path) -> None:
    """The child goes on with the constant answer and makes its next call; only then the late answer comes."""
    pending: list[threading.Event] = []

    def late(ctx: HandlerCtx) -> NotifAction:
        child_goes_on = threading.Event()
        pending.append(child_goes_on)
        if ctx.read(ctx.instruction_pointer, 1) is not None:  # else the time was over before we began
            assert child_goes_on.wait(PATIENCE)
        return NotifAction.inject_fd_send(opened())

    def next_call(ctx: HandlerCtx) -> NotifAction:
        while pending:
            pending.pop().set()
        return CONTINUE

    open_box.handler_timeout, open_box.on_exception = 0.001, NotifAction.errno(errno.ETIMEDOUT)
    in_time = Do(next_call)
    in_time.handler_timeout = None
    handlers = [("openat2", Do(late)), ("getppid", in_time)]
    result = open_box.run([opens, str(TIMES), "close"], handlers=handlers, check=True)
    assert told(result.stdout) == [0, TIMES, errno.ETIMEDOUT]
    assert len(result.handler_errors) == TIMES


def test_an_observer_that_gives_an_answer(open_box: Sandbox, opens: Path) -> None:
    class Observer(Do):
        observe = True

    observer = Observer(lambda ctx: NotifAction.inject_fd_send(opened()))
    open_box.on_exception = NotifAction.errno(errno.EIO)
    result = open_box.run([opens, str(TIMES), "close"], handlers=[("openat2", observer)], check=True)
    assert told(result.stdout) == [0, TIMES, errno.EIO]


def test_the_host_has_no_descriptor_left(open_box: Sandbox, opens: Path) -> None:
    """inject_bytes needs one; that it cannot have it is an error of the handler."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_box.on_exception = NotifAction.errno(errno.EIO)

    def handle(ctx: HandlerCtx) -> NotifAction:
        lowest_free = opened()
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
        return NotifAction.inject_bytes(b"x")

    try:
        result = open_box.run([opens, "1", "close"], handlers=[("openat2", Do(handle))])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert told(result.stdout) == [0, 1, errno.EIO]
    (failure,) = result.handler_errors
    assert isinstance(failure.exception, OSError)
    assert failure.exception.errno == errno.EMFILE


class ClosesBadly:
    """A file whose close fails, after it has closed."""

    def __init__(self) -> None:
        self._fd = opened()

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)
        raise OSError(errno.ENOSPC, "on purpose")


def test_a_close_that_fails_is_an_error_and_changes_no_answer(open_box: Sandbox, opens: Path) -> None:
    handler = Do(lambda ctx: NotifAction.inject_fd_send(ClosesBadly()))
    result = open_box.run([opens, "10", "close"], handlers=[("openat2", handler)], check=True)
    assert told(result.stdout) == [10, 0, 0]
    assert [str(failure.exception) for failure in result.handler_errors] == ["[Errno 28] on purpose"] * 10


def test_nothing_is_asked_of_a_handler_that_fails(open_box: Sandbox, opens: Path) -> None:
    open_box.on_exception = NotifAction.errno(errno.EIO)
    result = open_box.run([opens, "10", "close"], handlers=[("openat2", Fail(OSError()))], check=True)
    assert told(result.stdout) == [0, 10, errno.EIO]
