"""NotifAction.kill signals process groups of the sandbox, and no others."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import ExitReason, HandlerCtx, NotifAction, Sandbox
from tests.support.call import Called, arguments, call, parse
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.processes import MakeFifo, Watched
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def caller(program: Program) -> Path:
    return program("call")


def told_with(caller: Path, action: NotifAction) -> Called:
    return call(tool_sandbox([caller]), caller, "getppid", handlers=[("getppid", Answer(action))])


def test_the_caller(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "umask; echo alive"], handlers=[("umask", Answer(NotifAction.kill()))])
    assert (result.reason, result.stdout) == (ExitReason.KILLED, b"")


def test_with_another_signal(box: Sandbox) -> None:
    kill = Answer(NotifAction.kill(signal.SIGUSR2))
    result = box.run(["sh", "-c", "umask; echo alive"], handlers=[("umask", kill)])
    assert (result.success, result.exit_code, result.signal, result.stdout) == (False, -1, signal.SIGUSR2, b"")


def test_the_whole_group_of_the_caller(box: Sandbox, make_fifo: MakeFifo) -> None:
    up, never = make_fifo("up"), make_fifo("never")
    box.fs_writable = [*box.fs_writable, up.path, never.path]
    sibling: list[Watched] = []

    def kill(ctx: HandlerCtx) -> NotifAction:
        if not sibling:
            sibling.append(Watched(int(up.line())))
        return NotifAction.kill()

    script = f"sh -c 'echo $$ >{up.path}; read line <{never.path}' & umask; echo alive"
    result = box.run(["sh", "-c", script], handlers=[("umask", Do(kill))])
    assert result.reason == ExitReason.KILLED
    with sibling[0]:
        assert sibling[0].gone(0)


def test_a_caller_that_lives_on_gets_eperm(caller: Path) -> None:
    told = call(
        tool_sandbox([caller]), caller, "getppid", handlers=[("getppid", Answer(NotifAction.kill(signal.SIGCONT)))]
    )
    assert (told.result, told.error) == (-1, "EPERM")


def test_a_signal_that_the_caller_handles(box: Sandbox) -> None:
    script = "trap 'echo caught' USR1; umask 077; echo end; umask"
    kill = Answer(NotifAction.kill(signal.SIGUSR1))
    first = iter([kill])
    handler = Do(lambda ctx: next(first).handle(ctx) if ctx.args[0] == 0o77 else CONTINUE)
    result = box.run(["sh", "-c", script], handlers=[("umask", handler)])
    assert result.success
    assert result.stdout.splitlines()[:2] == [b"caught", b"end"]
    assert kill.calls == 1


def test_another_group_of_the_sandbox(caller: Path, make_fifo: MakeFifo) -> None:
    """The caller's call fails; the other group dies."""
    up, never = make_fifo("up"), make_fifo("never")
    box = tool_sandbox([caller], [up.path, never.path])
    others: list[Watched] = []

    def kill(ctx: HandlerCtx) -> NotifAction:
        others.append(Watched(int(up.line())))
        return NotifAction.kill(signal.SIGTERM, pgid=others[0].pid)

    command = " ".join(arguments(caller, "getpgid", 0))
    script = f"setsid sh -c 'echo $$ >{up.path}; read line <{never.path}' & {command}; wait $!; echo $? >&2"
    result = box.run(["sh", "-c", script], handlers=[("getpgid", Do(kill))], timeout=60)
    assert parse(result).error == "EPERM"
    assert result.stderr.splitlines()[-1] == b"143"
    with others[0] as process:
        assert process.gone(0)


@pytest.fixture
def stranger() -> Iterator[int]:
    """A process group of the host."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield process.pid
    process.kill()
    process.wait()


def test_a_group_of_the_host_is_not_signalled(caller: Path, stranger: int) -> None:
    with Watched(stranger) as process:
        told = told_with(caller, NotifAction.kill(signal.SIGTERM, pgid=stranger))
        assert not process.gone(0)
    assert told.error == "EPERM"


def test_the_group_of_the_host_is_not_signalled(caller: Path) -> None:
    assert told_with(caller, NotifAction.kill(signal.SIGTERM, pgid=os.getpgid(0))).error == "EPERM"


def test_the_group_of_init_is_not_signalled(caller: Path) -> None:
    assert told_with(caller, NotifAction.kill(signal.SIGCONT, pgid=1)).error == "EPERM"


def test_no_such_group(caller: Path) -> None:
    assert told_with(caller, NotifAction.kill(signal.SIGTERM, pgid=2**31 - 1)).error == "EPERM"


def test_the_group_of_the_reaper_is_not_signalled(caller: Path) -> None:
    """It is between the host and the command, and must outlive the command."""

    def kill(ctx: HandlerCtx) -> NotifAction:
        reaper = int(Path(f"/proc/{ctx.pid}/stat").read_text().rpartition(")")[2].split()[1])
        return NotifAction.kill(signal.SIGKILL, pgid=os.getpgid(reaper))

    told = call(tool_sandbox([caller]), caller, "getppid", handlers=[("getppid", Do(kill))])
    assert told.error == "EPERM"


def test_a_group_whose_leader_is_gone(tmp_path: Path, program: Program) -> None:
    orphan = program("orphan")
    box = tool_sandbox([orphan], [tmp_path])
    box.run([orphan, tmp_path / "alive"], handlers=[("getppid", Answer(NotifAction.kill()))], timeout=60)
    assert not (tmp_path / "alive").exists()
