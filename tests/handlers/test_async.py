"""Asynchronous handlers of run(): awaited in an event loop that the run has for itself."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandlock import ExceptionPolicy, ExitReason, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Fail
from tests.support.held import wait_for_held
from tests.support.processes import open_fds
from tests.support.steps import Buffer, ResultOf, number, steps

CHDIR = ["sh", "-c", "cd / || echo refused"]
EPERM = NotifAction.errno(errno.EPERM)


class Awaiting(Handler):
    """Answers after a turn of the event loop, and tells where it ran."""

    def __init__(self, action: NotifAction = CONTINUE) -> None:
        self._action = action
        self.threads: set[threading.Thread] = set()
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.tasks: list[Any] = []

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(0)
        self.threads.add(threading.current_thread())
        self.loops.add(asyncio.get_running_loop())
        self.tasks.append(asyncio.current_task())
        return self._action


class Failing(Handler):
    def __init__(self, exception: BaseException) -> None:
        self._exception = exception

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        await asyncio.sleep(0)
        raise self._exception


def test_one_loop_and_thread_for_the_run(box: Sandbox) -> None:
    first, second = Awaiting(), Awaiting()
    box.run(["sh", "-c", "cd /; cd /; umask"], handlers=[("chdir", first), ("umask", second)], check=True)
    assert len(first.threads | second.threads) == 1
    assert len(first.loops | second.loops) == 1
    assert len(set(first.tasks)) == 2, "each call is a task of its own"
    (thread,), (loop,) = first.threads, first.loops
    assert thread not in (threading.main_thread(), threading.current_thread())
    assert not thread.is_alive()
    assert loop.is_closed()


def test_each_run_has_its_own_loop(box: Sandbox) -> None:
    handler = Awaiting()
    for _ in range(3):
        box.run(CHDIR, handlers=[("chdir", handler)], check=True)
    assert len(handler.loops) == 3


def test_no_loop_without_asynchronous_handlers(box: Sandbox) -> None:
    threads: set[str] = set()

    class Look(Answer):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            threads.update(thread.name for thread in threading.enumerate())
            return CONTINUE

    box.run(CHDIR, handlers=[("chdir", Look())], check=True)
    assert "sandlock-loop" not in threads


ANSWERS: dict[str, Any] = {
    "errno": (lambda: EPERM, b"refused\n"),
    "returns": (lambda: NotifAction.returns(0), b""),
    "continue": (NotifAction.continue_, b""),
    "placed": (lambda: NotifAction.inject_fd(os.open("/dev/null", os.O_RDONLY), 9), b""),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers(box: Sandbox, answer: str) -> None:
    make, seen = ANSWERS[answer]
    before = open_fds()

    class Answering(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            await asyncio.sleep(0)
            action: NotifAction = make()
            return action

    result = box.run(CHDIR, handlers=[("chdir", Answering())])
    assert (result.stdout, result.handler_errors) == (seen, [])
    assert open_fds() == before


def test_a_tracked_descriptor(step_box: Sandbox, stepper: Path) -> None:
    numbers: list[int] = []

    class Sending(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            await asyncio.sleep(0)
            return NotifAction.inject_fd_send_tracked(Path("/etc/passwd").open("rb"), on_success=numbers.append)

    read = ("read", ResultOf(0), Buffer(4), 4)
    told = steps(step_box, stepper, ("getppid",), read, handlers=[("getppid", Sending())])
    assert numbers == [told[0].result] == [3]
    assert told[1].data == Path("/etc/passwd").read_bytes()[:4]


def test_kill(box: Sandbox) -> None:
    result = box.run(CHDIR, handlers=[("chdir", Awaiting(NotifAction.kill()))])
    assert result.reason == ExitReason.KILLED


def test_hold(box: Sandbox) -> None:
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, CHDIR, timeout=100, handlers=[("chdir", Awaiting(NotifAction.hold()))])
        (ctx,) = wait_for_held(box)
        assert box.answer(ctx, EPERM)
        assert run.result().stdout == b"refused\n"


def test_memory_between_awaits(step_box: Sandbox, stepper: Path) -> None:
    class Editing(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            before = ctx.read(ctx.args[0], 4)
            await asyncio.sleep(0)
            assert ctx.write(ctx.args[0], bytes(reversed(before or b"")))
            await asyncio.sleep(0)
            return NotifAction.returns(int.from_bytes(ctx.read(ctx.args[0], 4) or b"", "big"))

    result = step_box.run([stepper, number("getppid"), "s:abcd"], handlers=[("getppid", Editing())], check=True)
    assert int(result.stdout.split()[0]) == int.from_bytes(b"dcba", "big")


CALLS = ["execve", "clone", "close", "exit_group", "wait4"]


@pytest.mark.parametrize("syscall", CALLS)
def test_calls_that_start_and_end_processes(box: Sandbox, syscall: str) -> None:
    handler = Awaiting()
    result = box.run(["sh", "-c", "echo abc | cat | cat; (exit 3)"], handlers=[(syscall, handler)], timeout=100)
    assert (result.exit_code, result.stdout) == (3, b"abc\n")
    assert handler.tasks


def test_an_execve_that_is_refused(box: Sandbox) -> None:
    result = box.run(["true"], handlers=[("execve", Awaiting(NotifAction.errno(errno.EACCES)))])
    assert result.exit_code == 127


@pytest.mark.parametrize("rule", [EPERM, {LookupError: EPERM}, {Exception: ExceptionPolicy.DENY_EIO}], ids=repr)
@pytest.mark.parametrize("where", ["sandbox", "handler", "registration"])
def test_exceptions(box: Sandbox, caplog: pytest.LogCaptureFixture, rule: Any, where: str) -> None:
    handler, exception = Failing(KeyError()), None
    registration: Any = ("chdir", handler)
    if where == "sandbox":
        box.on_exception = rule
    elif where == "handler":
        handler.on_exception = rule
    else:
        registration = ("chdir", handler, rule)
    result = box.run(CHDIR, handlers=[registration])
    assert result.stdout == b"refused\n"
    (failure,) = result.handler_errors
    exception = failure.exception
    assert (type(exception), failure.handler) == (KeyError, handler)
    assert len([record for record in caplog.records if record.name == "sandlock"]) == 1


def test_kill_by_default(box: Sandbox) -> None:
    assert box.run(CHDIR, handlers=[("chdir", Failing(OSError()))]).reason == ExitReason.KILLED


@pytest.mark.parametrize(
    "exception", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), asyncio.CancelledError()], ids=lambda e: repr(e)
)
def test_a_base_exception_reaches_the_caller_of_run(box: Sandbox, exception: BaseException) -> None:
    """Also a CancelledError that nobody asked for."""
    with pytest.raises(type(exception)):
        box.run(CHDIR, handlers=[("chdir", Failing(exception), EPERM)])
    assert box.run(["true"]).success


def test_a_value_that_is_no_action(box: Sandbox) -> None:
    class Wrong(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            return None  # type: ignore[return-value]

    result = box.run(CHDIR, handlers=[("chdir", Wrong(), EPERM)])
    assert result.stdout == b"refused\n"
    assert "Wrong.handle returned None" in str(result.handler_errors[0].exception)


def test_context_variables_do_not_leak_between_calls(box: Sandbox) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    seen: list[int] = []

    class Setting(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            seen.append(variable.get())
            variable.set(1)
            return CONTINUE

    box.run(["sh", "-c", "cd /; cd /; cd /"], handlers=[("chdir", Setting())], check=True)
    assert seen == [0, 0, 0]


def test_from_within_a_running_loop(box: Sandbox) -> None:
    """run() blocks that loop, as any blocking call; the handlers' own goes on."""

    async def main() -> bytes:
        return box.run(CHDIR, handlers=[("chdir", Awaiting(EPERM))]).stdout

    assert asyncio.run(main()) == b"refused\n"


def test_sync_failure_in_an_asynchronous_chain(box: Sandbox) -> None:
    result = box.run(CHDIR, handlers=[("chdir", Awaiting()), ("chdir", Fail(OSError()), EPERM)])
    assert result.stdout == b"refused\n"
    assert len(result.handler_errors) == 1
