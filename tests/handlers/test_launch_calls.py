"""Handlers on the calls that start the command, and on every call at once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import sys
import textwrap
from pathlib import Path

import pytest

from sandlock import ExitReason, HandlerCtx, NotifAction, PolicyError, Sandbox, _core
from tests.support.call import call
from tests.support.handlers import Answer
from tests.support.processes import children, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.steps import number

LAUNCH = ["execve", "dup3", "close_range", "futex", "prctl", "setsid", "fchdir", "prlimit64", "rt_sigprocmask", "close"]


@pytest.mark.parametrize("syscall", LAUNCH)
def test_observed(tmp_path: Path, syscall: str) -> None:
    """They do not see what sandlock itself does between clone and execve, except for the execve."""
    answer = Answer()
    box = tool_sandbox([tmp_path], cwd=tmp_path, max_open_files=100)
    result = box.run(["sh", "-c", "echo hello; pwd -P"], handlers=[(syscall, answer)], input=b"x")
    assert (result.success, result.stdout) == (True, f"hello\n{tmp_path}\n".encode())
    if syscall == "execve":
        assert answer.calls == 1
    elif syscall in ("dup3", "close_range", "fchdir", "setsid"):
        assert answer.calls == 0


@pytest.mark.parametrize("syscall", ["dup3", "close_range", "setsid", "fchdir"])
def test_refused_to_the_command_only(tmp_path: Path, syscall: str) -> None:
    box = tool_sandbox([tmp_path], cwd=tmp_path)
    result = box.run(["pwd", "-P"], handlers=[(syscall, Answer(NotifAction.errno(errno.EPERM)))])
    assert result.stdout == f"{tmp_path}\n".encode()


@pytest.mark.parametrize("syscall", ["dup3", "close_range", "setsid", "fchdir"])
def test_denied_to_the_command_only(tmp_path: Path, syscall: str) -> None:
    box = tool_sandbox([tmp_path], cwd=tmp_path, extra_deny_syscalls=[syscall])
    assert box.run(["pwd", "-P"]).stdout == f"{tmp_path}\n".encode()


def test_futex_denied(program: Program) -> None:
    """The program has one thread and no use for it; the launcher has."""
    caller = program("call")
    told = call(tool_sandbox([caller], extra_deny_syscalls=["futex"]), caller, "getsid", 0)
    assert told.result == told.pid


def test_execve_refused(box: Sandbox) -> None:
    result = box.run(["true"], handlers=[("execve", Answer(NotifAction.errno(errno.EACCES)))])
    assert (result.exit_code, result.reason) == (127, ExitReason.EXITED)
    assert "cannot execute /" in str(result.error)


def test_execve_killed(box: Sandbox) -> None:
    result = box.run(["true"], handlers=[("execve", Answer(NotifAction.kill()))])
    assert (result.exit_code, result.reason) == (-1, ExitReason.KILLED)


def test_execve_answered_without_being_made(box: Sandbox) -> None:
    """There is no program to go on with; the result says so."""
    result = box.run(["true"], handlers=[("execve", Answer(NotifAction.returns(0)))])
    assert (result.success, result.exit_code) == (False, 127)
    assert result.error is not None


def test_the_commands_own_execve(box: Sandbox) -> None:
    answer = Answer()
    script = "/bin/true; (exec /bin/true); exec /bin/sh -c 'exec /bin/true'"
    box.run(["sh", "-c", script], handlers=[("execve", answer)], check=True)
    assert answer.calls == 5


@pytest.mark.parametrize("limit", [32, 256])
def test_a_limit_of_open_files_below_the_hosts(stepper: Path, limit: int) -> None:
    """The listener of the filter has no number within it: see docs/limits.md. Nothing is left of the start."""
    answer = Answer()
    box = tool_sandbox([stepper], max_open_files=limit)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(open("/dev/null"))
        before = open_fds(), children()
        if limit < 100:
            with pytest.raises(PolicyError, match="max_open_files: 32 is not more than the host has open"):
                box.run([stepper, number("getppid")], handlers=[("getppid", answer)])
        else:
            assert box.run([stepper, number("getppid")], handlers=[("getppid", answer)]).success
        assert ((open_fds(), children()), box.is_running) == (before, False)
    assert answer.calls == (limit > 100)


class Awaiting(Answer):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().handle(ctx)


@pytest.mark.parametrize("kind", [Answer, Awaiting])
def test_execve_of_a_thread_that_does_not_lead(kind: type[Answer]) -> None:
    """The others die of it, and it goes on under the number of the process."""
    script = """
        import os, threading
        threading.Thread(target=os.execv, args=("/bin/echo", ["echo", "hello"])).start()
        threading.Event().wait()
    """
    answer = kind()
    command = [sys.executable, "-c", textwrap.dedent(script)]
    result = tool_sandbox(PYTHON_PATHS).run(command, handlers=[("execve", answer)], timeout=60)
    assert (result.success, result.stdout, result.handler_errors) == (True, b"hello\n", [])
    assert answer.calls == 2


def handled(box: Sandbox) -> dict[str, Answer]:
    """Give a handler to every call that may have one."""
    handlers = {}
    for name in json.loads(_core.core_Syscalls()):
        try:
            box.run(["true"], handlers=[(name, Answer())], timeout=60)
        except PolicyError:
            continue
        handlers[name] = Answer()
    return handlers


def test_every_call_at_once(box: Sandbox) -> None:
    handlers = handled(box)
    assert len(handlers) > 200
    command = ["sh", "-c", "echo hello | cat | tr a-z A-Z; cd /; ls -d usr; exit 3"]
    expected = box.run(command)
    result = box.run(command, handlers=list(handlers.items()), timeout=100)
    assert (result.exit_code, result.stdout, result.stderr) == (3, expected.stdout, expected.stderr)
    assert expected.stdout == b"HELLO\nusr\n"
    for name in ("execve", "mmap", "read", "write", "close", "exit_group", "wait4", "clone"):
        assert handlers[name].calls > 0, name
