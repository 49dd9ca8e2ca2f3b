"""A held call waits until somebody answers it, or until its child is gone."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, Result, Sandbox, StdioMode
from tests.support.handlers import Answer, Do
from tests.support.held import HoldAll, wait_for_held
from tests.support.processes import PATIENCE, MakeFifo, Watched, open_fds
from tests.support.programs import Program
from tests.support.steps import number

EPERM = NotifAction.errno(errno.EPERM)


@contextmanager
def running(box: Sandbox, *words: object, **options: Any) -> Iterator[tuple[Future[Result], HoldAll]]:
    """Run a command in another thread; its getppid is held."""
    hold = HoldAll()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, [str(word) for word in words], handlers=[("getppid", hold)], **options)
        try:
            yield run, hold
        finally:
            if box.is_running:
                box.kill()


def told(run: Future[Result]) -> list[bytes]:
    result = run.result(PATIENCE)
    assert result.success, result
    return result.stdout.split()


@pytest.fixture
def command(stepper: Path) -> list[object]:
    return [stepper, number("getppid")]


@pytest.mark.parametrize("by", ["ctx", "id"])
def test_answered(step_box: Sandbox, command: list[object], by: str) -> None:
    with running(step_box, *command) as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        assert ctx is hold.contexts[0]
        assert not run.done()
        assert step_box.answer(ctx if by == "ctx" else ctx.id, NotifAction.returns(7))
        assert step_box.held == []
        assert not step_box.answer(ctx.id, EPERM), "it is answered"
        assert told(run) == [b"7", b"0"]
    assert not step_box.answer(ctx.id, EPERM), "nothing runs"
    assert step_box.held == []


def from_a_file() -> NotifAction:
    return NotifAction.inject_fd_send(os.open("/etc/passwd", os.O_RDONLY))


ANSWERS: dict[str, tuple[Callable[[], NotifAction], list[bytes]]] = {
    "errno": (lambda: EPERM, [b"-1", b"1"]),
    "a descriptor": (from_a_file, [b"3", b"0"]),
    "a placed descriptor": (lambda: NotifAction.inject_fd(os.open("/etc/passwd", os.O_RDONLY), 9), [b"1", b"0"]),
    "bytes": (lambda: NotifAction.inject_bytes(b"x"), [b"3", b"0"]),
    "continue": (NotifAction.continue_, [b"1", b"0"]),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_every_answer(step_box: Sandbox, command: list[object], answer: str) -> None:
    make, expected = ANSWERS[answer]
    with running(step_box, *command) as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        before = open_fds()
        assert step_box.answer(ctx, make())
        assert open_fds() <= before
        result, error = told(run)
        assert (result > b"0" if expected[0] == b"1" else result == expected[0], error) == (True, expected[1])


def test_kill_as_the_answer(step_box: Sandbox, command: list[object]) -> None:
    with running(step_box, *command) as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        assert step_box.answer(ctx, NotifAction.kill())
        assert run.result(PATIENCE).reason == ExitReason.KILLED


def test_tracked_as_the_answer(step_box: Sandbox, command: list[object]) -> None:
    numbers: list[int] = []
    with running(step_box, *command) as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        file = Path("/etc/passwd").open("rb")
        assert step_box.answer(ctx, NotifAction.inject_fd_send_tracked(file, on_success=numbers.append))
        assert told(run)[0] == b"3"
    assert numbers == [3]
    assert file.closed


def test_held_again(step_box: Sandbox, command: list[object]) -> None:
    with running(step_box, *command) as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        assert step_box.answer(ctx, NotifAction.hold())
        assert step_box.held == [ctx]
        assert step_box.answer(ctx, EPERM)
        assert told(run) == [b"-1", b"1"]


def test_memory_is_within_reach_until_the_answer(step_box: Sandbox, stepper: Path) -> None:
    with running(step_box, stepper, number("getppid"), "s:text") as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        assert ctx.read_cstr(ctx.args[0], 16) == "text"
        assert ctx.write(ctx.args[0], b"TEXT")
        assert ctx.read(ctx.args[0], 5) == b"TEXT\0"
        assert step_box.answer(ctx, EPERM)
        assert ctx.read(ctx.args[0], 5) is None
        assert not ctx.write(ctx.args[0], b"late")
        told(run)


def test_many_in_any_order(step_box: Sandbox, program: Program) -> None:
    """More than there are threads: a held call occupies none."""
    crowd, count = program("crowd"), 50
    step_box.fs_readable = [*step_box.fs_readable, crowd]
    with running(step_box, crowd, count, number("getppid")) as (run, hold):
        held = hold.wait(step_box, count)
        assert {ctx.args[0] for ctx in held} == set(range(count))
        for ctx in reversed(held):
            assert step_box.answer(ctx.id, NotifAction.returns(ctx.args[0] * 10))
        result = run.result(PATIENCE)
    assert result.stdout.splitlines() == [b"%d 0" % (index * 10) for index in range(count)]


def test_the_run_is_killed(step_box: Sandbox, command: list[object]) -> None:
    with running(step_box, *command) as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        step_box.kill()
        assert run.result(PATIENCE).reason == ExitReason.KILLED
    assert not step_box.answer(ctx, EPERM)
    assert step_box.held == []


def test_the_run_times_out(step_box: Sandbox, command: list[object]) -> None:
    result = step_box.run([str(word) for word in command], timeout=0.2, handlers=[("getppid", HoldAll())])
    assert (result.reason, result.handler_errors) == (ExitReason.TIMEOUT, [])


def test_the_child_is_killed_by_another(box: Sandbox, make_fifo: MakeFifo) -> None:
    """It is no longer held, an answer is too late, and a descriptor of the answer is closed."""
    go, end = make_fifo("go"), make_fifo("end")
    box.fs_readable = [*box.fs_readable, go.path, end.path]
    hold = HoldAll()
    script = f"umask & read line <{go.path}; kill -KILL $!; read line <{end.path}"
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, ["sh", "-c", script], handlers=[("umask", hold)], timeout=60)
        (ctx,) = hold.wait(box, 1)
        with Watched(ctx.pid) as child:
            go.release()
            assert child.gone()
        assert box.held == []
        before = open_fds()
        assert not box.answer(ctx, from_a_file())
        assert open_fds() == before
        end.release()
        assert run.result(PATIENCE).success


def test_a_descriptor_for_a_call_that_is_answered_is_closed(step_box: Sandbox, command: list[object]) -> None:
    """The answer owns it in any case, whether the call waits or not."""
    with running(step_box, *command) as (run, hold):
        (ctx,) = hold.wait(step_box, 1)
        assert step_box.answer(ctx, EPERM)
        before = open_fds()
        assert not step_box.answer(ctx, from_a_file())
        assert not step_box.answer(ctx.id + 1, from_a_file())
        assert open_fds() <= before
        told(run)
    before = open_fds()
    assert not step_box.answer(ctx, from_a_file())
    assert open_fds() == before


def test_the_time_limit_of_a_handler_ends_when_it_has_decided(box: Sandbox, make_fifo: MakeFifo) -> None:
    """Another call of the same limit, that began later, is over already."""
    go, over = make_fifo("go"), make_fifo("over")
    box.fs_writable = [*box.fs_writable, go.path, over.path]
    box.handler_timeout, box.on_exception = 0.25, EPERM
    hold, end = HoldAll(), threading.Event()

    def wait(ctx: HandlerCtx) -> NotifAction:
        end.wait(PATIENCE)
        return NotifAction.continue_()

    script = f"cd / & read line <{go.path}; umask >&2; echo over >{over.path}; wait"
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(box.run, ["sh", "-c", script], handlers=[("chdir", hold), ("umask", Do(wait))], timeout=60)
        try:
            (ctx,) = hold.wait(box, 1)
            go.release()
            over.line()
            assert box.held == [ctx]
            assert box.answer(ctx, NotifAction.continue_())
        finally:
            end.set()
        assert run.result(PATIENCE).success
    failures = run.result().handler_errors
    assert {type(failure.exception) for failure in failures} == {TimeoutError}
    assert ctx.pid not in {failure.pid for failure in failures}


@pytest.mark.parametrize("call", [None, "1", 1.5], ids=repr)
def test_wrong_call(step_box: Sandbox, command: list[object], call: Any) -> None:
    with running(step_box, *command) as (_, hold):
        hold.wait(step_box, 1)
        with pytest.raises(TypeError, match="call"):
            step_box.answer(call, EPERM)


def test_wrong_answer(step_box: Sandbox) -> None:
    with pytest.raises(TypeError, match="action must be a NotifAction, not 1"):
        step_box.answer(1, 1)  # type: ignore[arg-type]


def test_a_descriptor_given_twice_is_an_error_of_who_answers(step_box: Sandbox, program: Program) -> None:
    crowd = program("crowd")
    step_box.fs_readable = [*step_box.fs_readable, crowd]
    action = from_a_file()
    with running(step_box, crowd, 2, number("getppid")) as (run, hold):
        first, second = hold.wait(step_box, 2)
        assert step_box.answer(first, action)
        with pytest.raises(RuntimeError, match="given before"):
            step_box.answer(second, action)
        assert step_box.held == [second], "it still waits"
        assert step_box.answer(second, EPERM)
        assert run.result(PATIENCE).success


def test_two_answer_the_same_call_at_the_same_time(step_box: Sandbox, program: Program) -> None:
    """One of them has answered, and what the other one gives is closed."""
    crowd, count = program("crowd"), 40
    step_box.fs_readable = [*step_box.fs_readable, crowd]
    before, both = open_fds(), threading.Barrier(2)

    def answer(held: list[HandlerCtx]) -> list[bool]:
        answers = []
        for ctx in held:
            both.wait(PATIENCE)
            answers.append(step_box.answer(ctx, from_a_file()))
        return answers

    with running(step_box, crowd, count, number("getppid")) as (run, hold), ThreadPoolExecutor(2) as pool:
        held = hold.wait(step_box, count)
        first, second = pool.map(answer, [held, held])
        result = run.result(PATIENCE)
    assert [one + other for one, other in zip(first, second)] == [1] * count
    assert sorted(int(line.split()[0]) for line in result.stdout.splitlines()) == list(range(3, 3 + count))
    assert (result.success, result.handler_errors) == (True, [])
    assert open_fds() == before


def test_a_handler_answers_what_another_one_holds(box: Sandbox) -> None:
    """Here the child itself brings the answer about, with its next call."""
    hold = HoldAll()

    def release(ctx: HandlerCtx) -> NotifAction:
        for held in hold.wait(box, 1):
            assert box.answer(held, EPERM)
        return NotifAction.continue_()

    script = ["sh", "-c", "(cd / || echo refused) & umask >&2; wait"]
    first = iter([release])
    handlers: list[tuple[str, Handler]] = [
        ("chdir", hold),
        ("umask", Do(lambda ctx: next(first, lambda ctx: NotifAction.continue_())(ctx))),
    ]
    result = box.run(script, handlers=handlers, timeout=60)
    assert (result.stdout, result.handler_errors) == (b"refused\n", [])


def test_holding_ends_the_chain(step_box: Sandbox, command: list[object]) -> None:
    """Nobody else is asked, neither then nor when it is answered with Continue. Observers learn that it is held."""
    decided: list[NotifAction] = []

    class Observer(Handler):
        observe = True

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            return NotifAction.continue_()

        def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
            decided.append(action)

    hold, after = HoldAll(), Answer(EPERM)
    handlers: list[tuple[str, Handler]] = [("getppid", Observer()), ("getppid", hold), ("getppid", after)]
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(step_box.run, [str(word) for word in command], handlers=handlers, timeout=60)
        (ctx,) = hold.wait(step_box, 1)
        assert decided == [NotifAction.hold()]
        assert step_box.answer(ctx, NotifAction.continue_())
        assert int(told(run)[0]) > 0
    assert after.calls == 0


def test_the_command_ends_while_another_process_is_held(box: Sandbox) -> None:
    """It goes with the tree."""
    hold = HoldAll()

    def wait(ctx: HandlerCtx) -> NotifAction:
        hold.wait(box, 1)
        return NotifAction.continue_()

    script = ["sh", "-c", "cd / & setsid sh -c 'cd /' & umask; exit 3"]
    result = box.run(script, handlers=[("chdir", hold), ("umask", Do(wait))], timeout=60)
    assert (result.exit_code, result.handler_errors) == (3, [])
    with pytest.raises(ProcessLookupError):
        os.kill(hold.contexts[0].pid, 0)


def test_do_holds_nothing_by_itself(step_box: Sandbox, command: list[object]) -> None:
    result = step_box.run([str(word) for word in command], handlers=[("getppid", Do(lambda ctx: EPERM))])
    assert result.success
    assert step_box.held == []


def test_a_process_holds_and_answers(step_box: Sandbox, command: list[object]) -> None:
    handlers = [("getppid", HoldAll())]
    with step_box.popen(list(map(str, command)), stdout=StdioMode.PIPED, handlers=handlers) as process:
        (ctx,) = wait_for_held(process)
        assert process.answer(ctx.id, NotifAction.returns(5))
        assert not process.answer(ctx, NotifAction.returns(6))
        assert process.stdout is not None
        assert process.stdout.read().split()[0] == b"5"
    assert process.wait().held == []


def test_the_result_tells_what_nobody_has_answered(step_box: Sandbox, command: list[object]) -> None:
    result = step_box.run(list(map(str, command)), timeout=0.2, handlers=[("getppid", HoldAll())])
    assert result.reason == ExitReason.TIMEOUT
    (held,) = result.held
    assert (held.syscall, len(held.args)) == (int(number("getppid")), 6)
    assert held.pid > 0


def test_observers_learn_the_answer(step_box: Sandbox, command: list[object]) -> None:
    told: list[NotifAction] = []

    class Observing(Answer):
        observe = True

        def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
            told.append(action)

    step_box.spawn(
        list(map(str, command)), handlers=[("getppid", Observing()), ("getppid", Answer(NotifAction.hold()))]
    )
    (ctx,) = wait_for_held(step_box)
    assert step_box.answer(ctx, NotifAction.errno(13))
    step_box.wait()
    assert told == [NotifAction.hold(), NotifAction.errno(13)]
