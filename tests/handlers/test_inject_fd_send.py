"""inject_fd_send returns a descriptor from the call; the tracked variant tells its number."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Callable

import pytest

from sandlock import ExitReason, HandlerCtx, NotifAction, NotifError, Sandbox
from tests.support.handlers import Do
from tests.support.processes import Watched, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import Buffer, ResultOf, number, steps

READ = ("read", ResultOf(0), Buffer(16), 16)
FLAGS = ("fcntl", ResultOf(0), fcntl.F_GETFD)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file that the child may not open."""
    path = tmp_path / "text"
    path.write_text("from the host")
    return path


def test_the_call_returns_it(step_box: Sandbox, stepper: Path, text: Path) -> None:
    before = open_fds()
    handler = Do(lambda ctx: NotifAction.inject_fd_send(text.open("rb")))
    told = steps(step_box, stepper, ("getppid",), READ, ("getppid",), handlers=[("getppid", handler)])
    assert [told[0].result, told[2].result] == [3, 4], "the lowest numbers that are free"
    assert told[1].data.rstrip(b"\0") == b"from the host"
    assert open_fds() == before


@pytest.mark.parametrize(("flags", "seen"), [(0, 0), (os.O_CLOEXEC, fcntl.FD_CLOEXEC)])
@pytest.mark.parametrize("kind", ["sent", "tracked"])
def test_flags(step_box: Sandbox, stepper: Path, text: Path, flags: int, seen: int, kind: str) -> None:
    def handle(ctx: HandlerCtx) -> NotifAction:
        if kind == "sent":
            return NotifAction.inject_fd_send(text.open("rb"), flags)
        return NotifAction.inject_fd_send_tracked(text.open("rb"), newfd_flags=flags, on_success=lambda fd: None)

    told = steps(step_box, stepper, ("getppid",), FLAGS, handlers=[("getppid", Do(handle))])
    assert told[1].result == seen


def test_the_child_and_the_host_share_the_open_file(step_box: Sandbox, stepper: Path, text: Path) -> None:
    """As after dup(2): what one reads, the other has not before it."""
    fd = os.open(text, os.O_RDONLY)
    handler = Do(lambda ctx: NotifAction.inject_fd_send(os.dup(fd)))
    try:
        told = steps(
            step_box, stepper, ("getppid",), ("read", ResultOf(0), Buffer(4), 4), handlers=[("getppid", handler)]
        )
        assert (told[1].data, os.read(fd, 9)) == (b"from", b" the host")
    finally:
        os.close(fd)


def sends_tracked(path: Path, told: list[int]) -> Callable[[HandlerCtx], NotifAction]:
    def handle(ctx: HandlerCtx) -> NotifAction:
        return NotifAction.inject_fd_send_tracked(path.open("rb"), on_success=told.append)

    return handle


def test_on_success_has_the_childs_number_once_for_each(step_box: Sandbox, stepper: Path, text: Path) -> None:
    numbers: list[int] = []
    calls = [("getppid",), ("getppid",), ("close", ResultOf(0)), ("getppid",)]
    told = steps(step_box, stepper, *calls, handlers=[("getppid", Do(sends_tracked(text, numbers)))])
    assert [told[i].result for i in (0, 1, 3)] == [3, 4, 3]
    assert sorted(numbers) == [3, 3, 4]  # by several threads, of which one may be late


def test_on_success_is_not_called_when_the_childs_table_is_full(program: Program, text: Path) -> None:
    opens = program("opens")
    numbers: list[int] = []
    before = open_fds()
    box = tool_sandbox([opens], max_open_files=64)
    result = box.run([opens, "100", "keep"], handlers=[("openat2", Do(sends_tracked(text, numbers)))])
    succeeded, failed, error = map(int, result.stdout.split())
    assert sorted(numbers) == list(range(3, 64))  # by several threads, of which one may be late
    assert (succeeded, failed, error) == (len(numbers), 100 - len(numbers), errno.EMFILE)
    assert [type(failure.exception) for failure in result.handler_errors] == [NotifError] * failed
    assert open_fds() == before


def test_on_success_is_not_called_when_the_child_is_gone(box: Sandbox, text: Path) -> None:
    numbers: list[int] = []

    def outlive(ctx: HandlerCtx) -> NotifAction:
        with Watched(ctx.pid) as task:
            box.kill()
            assert task.gone()
        return sends_tracked(text, numbers)(ctx)

    before = open_fds()
    result = box.run(["sh", "-c", "umask"], handlers=[("umask", Do(outlive))])
    assert (result.reason, numbers, result.handler_errors) == (ExitReason.KILLED, [], [])
    assert open_fds() == before


def test_an_exception_of_on_success_is_an_error_and_changes_no_answer(
    step_box: Sandbox, stepper: Path, text: Path
) -> None:
    def fail(fd: int) -> None:
        raise LookupError(fd)

    handler = Do(lambda ctx: NotifAction.inject_fd_send_tracked(text.open("rb"), on_success=fail))
    step_box.on_exception = NotifAction.errno(errno.EPERM)
    before = open_fds()
    result = step_box.run([stepper, number("getppid")], handlers=[("getppid", handler)])
    assert result.stdout.split()[:2] == [b"3", b"0"]
    (failure,) = result.handler_errors
    assert (type(failure.exception), failure.exception.args) == (LookupError, (3,))
    assert open_fds() == before
