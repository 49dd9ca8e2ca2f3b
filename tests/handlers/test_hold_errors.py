"""Answers to held calls that cannot be given: who answers learns of it, and the call fails."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, NotifError, Result, Sandbox
from tests.support.held import HoldAll
from tests.support.processes import PATIENCE, open_fds
from tests.support.steps import number


@pytest.fixture
def command(stepper: Path) -> list[str]:
    return [str(stepper), number("getppid")]


@contextmanager
def held(box: Sandbox, command: list[str]) -> Iterator[tuple[HandlerCtx, Future[Result]]]:
    """Run a command whose getppid is held. Nothing of the answers stays open."""
    before, hold = open_fds(), HoldAll()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, command, handlers=[("getppid", hold)], timeout=60)
        (ctx,) = hold.wait(box, 1)
        yield ctx, run
        assert box.held == []
        assert run.result(PATIENCE).held == [], "it is answered, if not as was wanted"
    assert open_fds() == before


def told(run: Future[Result]) -> list[bytes]:
    result = run.result(PATIENCE)
    assert (result.success, result.handler_errors) == (True, []), result
    return result.stdout.split()


def opened() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def test_a_target_beyond_the_limit(step_box: Sandbox, command: list[str]) -> None:
    step_box.max_open_files = 64
    with held(step_box, command) as (ctx, run):
        with pytest.raises(NotifError):
            step_box.answer(ctx, NotifAction.inject_fd(opened(), 64))
        assert not step_box.answer(ctx, NotifAction.returns(7)), "it has failed"
        assert told(run) == [b"-1", b"%d" % errno.EBADF]


def test_a_full_table(step_box: Sandbox, stepper: Path) -> None:
    step_box.max_open_files = 64
    duplications = [word for _ in range(61) for word in (number("dup"), "0", ",")]
    numbers: list[int] = []
    with held(step_box, [str(stepper), *duplications, number("getppid")]) as (ctx, run):
        with pytest.raises(NotifError):
            step_box.answer(ctx, NotifAction.inject_fd_send_tracked(opened(), on_success=numbers.append))
        assert not step_box.answer(ctx, NotifAction.returns(7))
        assert told(run)[-2:] == [b"-1", b"%d" % errno.EMFILE]
    assert numbers == []


@pytest.mark.parametrize("by", ["pgid", "pid"])
def test_a_process_that_is_not_the_sandboxs(step_box: Sandbox, command: list[str], by: str) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        try:
            with held(step_box, command) as (ctx, run):
                action = (
                    NotifAction.kill(signal.SIGKILL, stranger.pid)
                    if by == "pgid"
                    else NotifAction.kill(signal.SIGKILL, pid=stranger.pid)
                )
                with pytest.raises(NotifError):
                    step_box.answer(ctx, action)
                assert told(run) == [b"-1", b"%d" % errno.EPERM]
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_descriptor_that_was_closed(step_box: Sandbox, command: list[str]) -> None:
    """Nothing was given: the call waits on."""
    with held(step_box, command) as (ctx, run):
        fd = opened()
        action = NotifAction.inject_fd_send(fd)
        os.close(fd)
        with pytest.raises(RuntimeError, match="was closed"):
            step_box.answer(ctx, action)
        assert step_box.held == [ctx]
        assert step_box.answer(ctx, NotifAction.returns(7))
        assert told(run) == [b"7", b"0"]


def test_an_exception_of_on_success_is_who_answers(step_box: Sandbox, command: list[str]) -> None:
    """The answer is given."""

    def fail(fd: int) -> None:
        raise LookupError(fd)

    with held(step_box, command) as (ctx, run):
        with pytest.raises(LookupError, match="3"):
            step_box.answer(ctx, NotifAction.inject_fd_send_tracked(opened(), on_success=fail))
        assert told(run) == [b"3", b"0"]


def test_on_success_is_called_after_the_answer(step_box: Sandbox, command: list[str]) -> None:
    seen: list[object] = []

    def look(fd: int) -> None:
        seen.extend((fd, threading.current_thread() is threading.main_thread(), ctx.read(ctx.instruction_pointer, 1)))

    with held(step_box, command) as (ctx, run):
        assert step_box.answer(ctx, NotifAction.inject_fd_send_tracked(opened(), on_success=look))
        assert told(run) == [b"3", b"0"]
    assert seen == [3, True, None]


class ClosesBadly:
    """A file whose close fails, after it has closed."""

    def __init__(self) -> None:
        self._fd = opened()

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)
        raise OSError(errno.ENOSPC, "on purpose")


def test_a_close_that_fails_is_told_to_who_answers(step_box: Sandbox, command: list[str]) -> None:
    with held(step_box, command) as (ctx, run):
        with pytest.raises(OSError, match="on purpose"):
            step_box.answer(ctx, NotifAction.inject_fd_send(ClosesBadly()))
        assert told(run) == [b"3", b"0"]
