"""NotifAction.kill with pid signals one process of the sandbox; what is not the sandbox's is an error."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from sandlock import ExitReason, HandlerCtx, NotifAction, NotifError, Result, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.processes import MakeFifo, Watched
from tests.support.programs import Program
from tests.support.steps import number


def test_the_caller_only(box: Sandbox) -> None:
    """The other members of its group live on, which kill() without pid would end as well."""
    script = "(umask 077; echo survived); echo status $?"
    handler = Do(lambda ctx: NotifAction.kill(pid=0) if ctx.args[0] == 0o77 else CONTINUE)
    result = box.run(["sh", "-c", script], handlers=[("umask", handler)])
    assert (result.success, result.stdout) == (True, b"status 137\n")


def test_the_caller_is_the_whole_process_of_a_thread(program: Program, step_box: Sandbox) -> None:
    crowd = program("crowd")
    step_box.fs_readable = [*step_box.fs_readable, crowd]
    handler = Do(lambda ctx: NotifAction.kill(signal.SIGUSR1, pid=0) if ctx.args[0] == 1 else CONTINUE)
    result = step_box.run([crowd, "2", number("getppid")], handlers=[("getppid", handler)])
    assert (result.reason, result.signal) == (ExitReason.SIGNALED, signal.SIGUSR1)


def test_another_process_of_the_sandbox(box: Sandbox, make_fifo: MakeFifo) -> None:
    up, never = make_fifo("up"), make_fifo("never")
    box.fs_writable = [*box.fs_writable, up.path, never.path]
    others: list[Watched] = []

    def kill(ctx: HandlerCtx) -> NotifAction:
        others.append(Watched(int(up.line())))
        return NotifAction.kill(signal.SIGTERM, pid=others[0].pid)

    script = f"sh -c 'echo $$ >{up.path}; read line <{never.path}' & cd / || echo refused; wait $!; echo $?"
    result = box.run(["sh", "-c", script], handlers=[("chdir", Do(kill))])
    assert result.stdout.splitlines() == [b"refused", b"143"]
    assert result.handler_errors == []
    with others[0] as process:
        assert process.gone(0)


def test_a_signal_that_the_caller_survives_is_eperm(step_box: Sandbox, stepper: Path) -> None:
    handlers = [("getppid", Answer(NotifAction.kill(signal.SIGCONT, pid=0)))]
    assert step_box.run([stepper, number("getppid")], handlers=handlers).stdout.split() == [b"-1", b"1"]


def test_a_process_that_is_gone(step_box: Sandbox, stepper: Path) -> None:
    """There is nothing to do any more, and so no error; the call fails as it would have."""
    handlers = [("getppid", Answer(NotifAction.kill(signal.SIGTERM, pid=2**31 - 1)))]
    result = step_box.run([stepper, number("getppid")], handlers=handlers)
    assert (result.stdout.split(), result.handler_errors) == ([b"-1", b"1"], [])


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process of the host that leads its group."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def refused(box: Sandbox, stepper: Path, action: NotifAction) -> Result:
    result = box.run([stepper, number("getppid")], handlers=[("getppid", Answer(action))], check=True)
    assert result.stdout.split() == [b"-1", b"1"]
    (failure,) = result.handler_errors
    assert isinstance(failure.exception, NotifError)
    assert "it is not the sandbox's" in str(failure.exception)
    assert failure.action == action
    return result


FOREIGN: dict[str, Callable[[int], NotifAction]] = {
    "process": lambda pid: NotifAction.kill(signal.SIGTERM, pid=pid),
    "group": lambda pid: NotifAction.kill(signal.SIGTERM, pgid=pid),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_of_the_host(step_box: Sandbox, stepper: Path, stranger: int, kind: str) -> None:
    with Watched(stranger) as process:
        refused(step_box, stepper, FOREIGN[kind](stranger))
        assert not process.gone(0)


@pytest.mark.parametrize("kind", FOREIGN)
def test_of_another_sandbox(box: Sandbox, step_box: Sandbox, stepper: Path, kind: str) -> None:
    def handle(ctx: HandlerCtx) -> NotifAction:
        with Watched(ctx.pid) as process:
            refused(step_box, stepper, FOREIGN[kind](ctx.pid))
            assert not process.gone(0)
        return CONTINUE

    result = box.run(["sh", "-c", "cd /; echo lives"], handlers=[("chdir", Do(handle))])
    assert (result.stdout, result.handler_errors) == (b"lives\n", [])


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_host_itself_and_init(step_box: Sandbox, stepper: Path, kind: str) -> None:
    for pid in (os.getpid() if kind == "process" else os.getpgrp(), 1):
        refused(step_box, stepper, FOREIGN[kind](pid))
