"""A handler that takes longer than its limit is answered for; what it says later counts for nothing."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import Any

import pytest

from sandlock import ExceptionPolicy, ExitReason, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.late import CHDIR, EPERM, LONG, SHORT, Asynchronous, Late, run
from tests.support.processes import PATIENCE, Watched

RULES: dict[str, tuple[Any, bytes]] = {
    "errno": (EPERM, b"refused\n"),
    "policy": (ExceptionPolicy.DENY_EIO, b"refused\n"),
    "value": (NotifAction.returns(0), b""),
    "continue": (ExceptionPolicy.CONTINUE, b""),
    "mapping for Exception": ({Exception: EPERM}, b"refused\n"),
    "mapping for another": ({TimeoutError: NotifAction.returns(0), Exception: EPERM}, b"refused\n"),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("where", ["sandbox", "handler", "registration"])
def test_the_child_sees_the_constant_answer(box: Sandbox, rule: str, where: str) -> None:
    answer, seen = RULES[rule]
    late = Late(NotifAction.returns(0) if seen else EPERM, handler_timeout=SHORT)
    if where == "sandbox":
        box.on_exception = answer
    elif where == "handler":
        late.on_exception = answer
    result = run(box, late, (late, answer) if where == "registration" else late)
    assert result.stdout == seen
    (failure,) = result.handler_errors
    assert failure.handler is late
    assert isinstance(failure.exception, TimeoutError)
    assert str(SHORT) in str(failure.exception)


class Outlived(Handler):
    """Waits until its caller is gone."""

    handler_timeout = SHORT

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        with contextlib.suppress(ProcessLookupError), Watched(ctx.pid) as caller:  # it may be gone already
            assert caller.gone()
        return CONTINUE


@pytest.mark.parametrize("rule", [ExceptionPolicy.KILL, {TimeoutError: EPERM}, {}], ids=repr)
def test_kill_when_nobody_says_anything_for_exception(box: Sandbox, rule: Any) -> None:
    result = box.run(CHDIR, handlers=[("chdir", Outlived(), rule)])
    assert (result.reason, result.stdout) == (ExitReason.KILLED, b"")
    assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError]


def test_the_sandboxs_limit_is_for_handlers_without_one(box: Sandbox) -> None:
    box.handler_timeout, box.on_exception = SHORT, EPERM
    late = Late()
    assert run(box, late).stdout == b"refused\n"


class OfClass(Late):
    handler_timeout = None


@pytest.mark.parametrize("kind", ["class", "instance", "longer"])
def test_a_handler_overrides_it(box: Sandbox, kind: str) -> None:
    box.handler_timeout, box.on_exception = SHORT, EPERM
    limits: dict[str, dict[str, Any]] = {
        "class": {},
        "instance": {"handler_timeout": None},
        "longer": {"handler_timeout": LONG},
    }
    patient = (OfClass if kind == "class" else Late)(**limits[kind])

    class ReleasesIt(Handler):
        """Takes longer than the sandbox allows; then the other one cannot have been under the same limit."""

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            while ctx.read(ctx.instruction_pointer, 1) is not None:
                threading.Event().wait(SHORT / 10)
            patient.go_on()
            return CONTINUE

    script = ["sh", "-c", "cd / & umask >&2; wait; echo end"]
    result = box.run(script, handlers=[("chdir", patient), ("umask", ReleasesIt())], timeout=100)
    assert result.stdout == b"end\n"
    assert patient.asked == 1
    assert {type(failure.handler) for failure in result.handler_errors} == {ReleasesIt}


def test_in_time(box: Sandbox) -> None:
    box.handler_timeout = LONG
    result = box.run(CHDIR, handlers=[("chdir", Answer(EPERM))])
    assert (result.stdout, result.handler_errors) == (b"refused\n", [])


def test_the_second_is_late(box: Sandbox) -> None:
    first = Answer()
    first.handler_timeout, first.on_exception = LONG, NotifAction.returns(0)
    second = Late(handler_timeout=SHORT, on_exception=EPERM)
    result = run(box, second, first, second)
    assert result.stdout == b"refused\n"
    assert [failure.handler for failure in result.handler_errors] == [second]
    assert result.handler_errors[0].action == EPERM
    assert str(SHORT) in str(result.handler_errors[0].exception)


def test_the_first_is_late_and_the_second_is_not_asked(box: Sandbox) -> None:
    first = Late(handler_timeout=SHORT, on_exception=EPERM)
    second = Answer(NotifAction.returns(0))
    second.handler_timeout = LONG
    result = run(box, first, first, second)
    assert result.stdout == b"refused\n"
    assert second.calls == 0
    assert [failure.handler for failure in result.handler_errors] == [first]


def test_a_late_one_with_continue_does_not_leave_out_the_others_in_the_childs_favour(box: Sandbox) -> None:
    first = Late(handler_timeout=SHORT, on_exception=ExceptionPolicy.CONTINUE)
    second = Answer(EPERM)
    second.on_exception = ExceptionPolicy.DENY_EPERM
    result = run(box, first, first, second)
    assert result.stdout == b"refused\n"
    assert [failure.handler for failure in result.handler_errors] == [first]


def test_the_limit_of_the_first_does_not_count_for_the_second(box: Sandbox) -> None:
    first = Answer()
    first.handler_timeout = 0.25  # which it keeps on a busy machine too

    def slow(ctx: HandlerCtx) -> NotifAction:
        threading.Event().wait(0.5)
        return EPERM

    result = box.run(CHDIR, handlers=[("chdir", first), ("chdir", Do(slow))])
    assert (result.stdout, result.handler_errors) == (b"refused\n", [])


@pytest.mark.parametrize("observed", ["observed", "not observed"])
@pytest.mark.parametrize("late_one", [0, 1, 2])
def test_one_of_three(box: Sandbox, late_one: int, observed: str) -> None:
    late = Late(handler_timeout=SHORT, on_exception=EPERM)
    handlers: list[Handler] = [Answer(), Answer(), Answer()]
    for handler in handlers:
        handler.handler_timeout, handler.on_exception = LONG, NotifAction.returns(0)
    handlers[late_one] = late
    if observed == "observed":
        handlers.insert(0, Answer())
        handlers[0].observe = True
    result = run(box, late, *handlers)
    assert result.stdout == b"refused\n"
    assert [failure.handler for failure in result.handler_errors] == [late]


def test_one_log_record(box: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    late = Late(handler_timeout=SHORT, on_exception=EPERM)
    run(box, late)
    (record,) = [record for record in caplog.records if record.name == "sandlock"]
    assert record.levelno == logging.ERROR
    assert "Late failed on system call" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is TimeoutError


def test_an_asynchronous_handler_is_cancelled(box: Sandbox) -> None:
    handler = Asynchronous()

    def next_call(ctx: HandlerCtx) -> NotifAction:
        assert handler.cancelled.wait(PATIENCE)
        return CONTINUE

    result = box.run(CHDIR, handlers=[("chdir", handler), ("umask", Do(next_call))])
    assert result.stdout == b"refused\n"
    assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError]


@pytest.mark.parametrize("position", [0, 1])
def test_asynchronous_handlers_in_a_chain(box: Sandbox, position: int) -> None:
    late = Asynchronous()
    other = Answer()
    other.on_exception, other.handler_timeout = NotifAction.returns(0), LONG
    handlers: list[tuple[str, Handler]] = [("chdir", other)]
    handlers.insert(position, ("chdir", late))
    result = box.run(CHDIR, handlers=handlers)
    assert result.stdout == b"refused\n"
    assert [failure.handler for failure in result.handler_errors] == [late]
    assert other.calls == position


def test_each_call_is_recorded(box: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    late = Outlived()
    late.on_exception = {Exception: NotifAction.kill(pid=0)}
    script = ["sh", "-c", "for i in 1 2 3; do (cd /); done; echo end"]
    result = box.run(script, handlers=[("chdir", late)])
    assert result.stdout == b"end\n"
    assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError] * 3
    assert len({failure.pid for failure in result.handler_errors}) == 3
    assert len([record for record in caplog.records if record.name == "sandlock"]) == 3


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "text": ("1", TypeError, "must be a number of seconds, not '1'"),
    "bool": (True, TypeError, "must be a number of seconds, not True"),
    "negative": (-1, ValueError, "-1"),
    "zero": (0, ValueError, "must be more than 0 seconds; None is for ever"),
    "nan": (float("nan"), ValueError, "nan"),
    "infinite": (float("inf"), ValueError, "inf"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("where", ["sandbox", "handler"])
def test_wrong_limit(box: Sandbox, wrong: str, where: str) -> None:
    value, error, words = WRONG[wrong]
    handler = Answer()
    target: Any = box if where == "sandbox" else handler
    target.handler_timeout = value
    name = "handler_timeout" if where == "sandbox" else r"handlers\[0\]: handler_timeout of Answer"
    with pytest.raises(error, match=f"{name} .*{words}"):
        box.run(["true"], handlers=[("chdir", handler)])


@pytest.mark.parametrize("value", [1e-300, 1e-12])
def test_hardly_any_time_is_not_for_ever(box: Sandbox, value: float) -> None:
    late = Late(handler_timeout=value, on_exception=EPERM)
    assert run(box, late).stdout == b"refused\n"


@pytest.mark.parametrize("value", [1e12, 1e300])
def test_for_ever_in_effect(box: Sandbox, value: float) -> None:
    box.handler_timeout = value
    assert box.run(CHDIR, handlers=[("chdir", Answer(EPERM))]).handler_errors == []
