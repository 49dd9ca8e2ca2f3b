"""What answers when a handler raises, and what is told of it."""

from __future__ import annotations

import errno
import logging
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple, Union

import pytest

from sandlock import ExceptionPolicy, ExitReason, Handler, HandlerCtx, NotifAction, Result
from tests.support.call import call
from tests.support.handlers import CONTINUE, Answer, Fail
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

UMASK = ["sh", "-c", "umask; echo end"]

Rule = Union[NotifAction, ExceptionPolicy, Mapping[type, Union[NotifAction, ExceptionPolicy]]]

KILL = NotifAction.kill(signal.SIGKILL)
EPERM, EIO = NotifAction.errno(errno.EPERM), NotifAction.errno(errno.EIO)


class Given(Fail):
    """A handler that raises, with a rule of its instance."""

    def __init__(self, exception: BaseException, rule: Rule) -> None:
        super().__init__(exception)
        self.on_exception = rule


class OfClass(Fail):
    on_exception = ExceptionPolicy.DENY_EIO


class OfBaseClass(OfClass):
    pass


class KillsOnPurpose(Fail):
    on_exception = ExceptionPolicy.KILL


def action_of(handler: Handler, sandbox: Any = None, registration: Any = None) -> NotifAction:
    """Run a command whose umask(2) the handler fails, and return what answered."""
    fields = {} if sandbox is None else {"on_exception": sandbox}
    entry: Any = ("umask", handler) if registration is None else ("umask", handler, registration)
    result = tool_sandbox(**fields).run(UMASK, handlers=[entry])
    failures = result.handler_errors
    assert len({failure.action for failure in failures}) == 1
    assert {type(failure.handler) for failure in failures} == {type(handler)}
    return failures[0].action


class Case(NamedTuple):
    handler: Handler
    sandbox: Rule | None
    registration: Rule | None
    answer: NotifAction


NESTED: dict[type, NotifAction | ExceptionPolicy] = {
    LookupError: ExceptionPolicy.DENY_EIO,
    KeyError: NotifAction.errno(7),
    Exception: ExceptionPolicy.DENY_EPERM,
}

CASES = {
    "nobody says anything": Case(Fail(OSError()), None, None, KILL),
    "the sandbox": Case(Fail(OSError()), ExceptionPolicy.DENY_EPERM, None, EPERM),
    "the sandbox, with an action": Case(Fail(OSError()), NotifAction.returns(3), None, NotifAction.returns(3)),
    "the class": Case(OfClass(OSError()), None, None, EIO),
    "a base class": Case(OfBaseClass(OSError()), None, None, EIO),
    "the class over the sandbox": Case(OfClass(OSError()), ExceptionPolicy.DENY_EPERM, None, EIO),
    "the class, on purpose": Case(KillsOnPurpose(OSError()), ExceptionPolicy.CONTINUE, None, KILL),
    "the instance": Case(Given(OSError(), ExceptionPolicy.DENY_EPERM), None, None, EPERM),
    "the instance over the sandbox": Case(Given(OSError(), EPERM), ExceptionPolicy.CONTINUE, None, EPERM),
    "the registration": Case(Fail(OSError()), None, ExceptionPolicy.DENY_EPERM, EPERM),
    "the registration over the class": Case(OfClass(OSError()), None, NotifAction.errno(9), NotifAction.errno(9)),
    "the registration over all": Case(Given(OSError(), KILL), KILL, ExceptionPolicy.CONTINUE, CONTINUE),
    "DENY_EPERM": Case(Fail(OSError()), None, ExceptionPolicy.DENY_EPERM, EPERM),
    "DENY_EIO": Case(Fail(OSError()), None, ExceptionPolicy.DENY_EIO, EIO),
    "CONTINUE": Case(Fail(OSError()), None, ExceptionPolicy.CONTINUE, CONTINUE),
    "KILL": Case(Fail(OSError()), None, ExceptionPolicy.KILL, KILL),
    "a mapping, exactly": Case(Fail(KeyError()), None, NESTED, NotifAction.errno(7)),
    "a mapping, by a base class": Case(Fail(IndexError()), None, NESTED, EIO),
    "a mapping, by Exception": Case(Fail(OSError()), None, NESTED, EPERM),
    "a mapping whatever its order": Case(Fail(KeyError()), dict(reversed(NESTED.items())), None, NotifAction.errno(7)),
    "a mapping without it": Case(Fail(OSError()), None, {KeyError: EIO}, KILL),
    "a mapping without it, then the sandbox": Case(Fail(OSError()), EPERM, {KeyError: EIO}, EPERM),
    "a mapping without it, then the class": Case(OfClass(OSError()), EPERM, {KeyError: EPERM}, EIO),
    "mappings all the way": Case(Given(OSError(), {KeyError: EIO}), {OSError: EPERM}, {IndexError: EIO}, EPERM),
    "mappings without it": Case(Given(OSError(), {KeyError: EIO}), {ValueError: EPERM}, {IndexError: EIO}, KILL),
    "an empty mapping": Case(OfClass(OSError()), None, {}, EIO),
}


@pytest.mark.parametrize("name", CASES)
def test_rule(name: str) -> None:
    case = CASES[name]
    assert action_of(case.handler, case.sandbox, case.registration) == case.answer


@pytest.mark.parametrize(
    ("rule", "error"), [(EPERM, "EPERM"), (ExceptionPolicy.DENY_EIO, "EIO"), (ExceptionPolicy.CONTINUE, "")], ids=repr
)
def test_the_answer_reaches_the_call(program: Program, rule: Rule, error: str) -> None:
    caller = program("call")
    told = call(tool_sandbox([caller], on_exception=rule), caller, "getppid", handlers=[("getppid", Fail(OSError()))])
    assert told.error == error


def test_kill_by_default() -> None:
    result = tool_sandbox().run(UMASK, handlers=[("umask", Fail(OSError()))])
    assert (result.reason, result.signal, result.stdout) == (ExitReason.KILLED, signal.SIGKILL, b"")


def test_continue_asks_the_next_handler() -> None:
    next_one = Answer(NotifAction.returns(0o123))
    handlers: list[Any] = [("umask", Fail(OSError()), ExceptionPolicy.CONTINUE), ("umask", next_one)]
    result = tool_sandbox().run(UMASK, handlers=handlers)
    assert result.stdout == b"0123\nend\n"
    assert len(result.handler_errors) == next_one.calls > 0


def test_another_answer_does_not() -> None:
    next_one = Answer()
    tool_sandbox().run(UMASK, handlers=[("umask", Fail(OSError()), EPERM), ("umask", next_one)])
    assert next_one.calls == 0


class Returns(Handler):
    def __init__(self, value: object) -> None:
        self._value = value

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return self._value  # type: ignore[return-value]


@pytest.mark.parametrize(
    "value",
    [None, True, 0, "x", NotImplemented, ExceptionPolicy.CONTINUE, NotifAction, NotifAction.continue_],
    ids=repr,
)
def test_a_value_that_is_no_action(value: object) -> None:
    result = tool_sandbox(on_exception={TypeError: EPERM}).run(UMASK, handlers=[("umask", Returns(value))])
    assert {failure.action for failure in result.handler_errors} == {EPERM}
    assert f"Returns.handle returned {value!r}" in str(result.handler_errors[0].exception)


def test_a_handler_that_asks_its_base_class() -> None:
    class Asking(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            action: Any = super().handle(ctx)
            return action  # type: ignore[no-any-return]

    result = tool_sandbox().run(UMASK, handlers=[("umask", Asking())])
    assert result.reason == ExitReason.KILLED
    assert isinstance(result.handler_errors[0].exception, NotImplementedError)
    assert "Asking" in str(result.handler_errors[0].exception)


class StrangeError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text for you")

    __repr__ = __str__


def recurse(ctx: HandlerCtx) -> NotifAction:
    return recurse(ctx)


def exhaust(ctx: HandlerCtx) -> NotifAction:
    bytearray(1 << 62)
    return CONTINUE


class Calls(Handler):
    def __init__(self, function: Any) -> None:
        self._function = function

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        action: NotifAction = self._function(ctx)
        return action


@pytest.mark.parametrize(
    ("handler", "kind"),
    [(Calls(recurse), RecursionError), (Calls(exhaust), MemoryError), (Fail(StrangeError()), StrangeError)],
    ids=["recursion", "memory", "strange"],
)
def test_unpleasant_exceptions(handler: Handler, kind: type[Exception]) -> None:
    result = tool_sandbox(on_exception=EPERM).run(UMASK, handlers=[("umask", handler)])
    assert result.stdout.endswith(b"end\n")
    assert {type(failure.exception) for failure in result.handler_errors} == {kind}


def failed_run(exception: Exception) -> tuple[Result, Handler, list[HandlerCtx]]:
    contexts: list[HandlerCtx] = []

    class Failing(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            contexts.append(ctx)
            raise exception

    handler = Failing()
    return tool_sandbox(on_exception=EIO).run(UMASK, handlers=[("umask", handler)]), handler, contexts


def test_what_the_result_keeps() -> None:
    exception = OSError("on purpose")
    result, handler, contexts = failed_run(exception)
    assert result.success
    assert len(result.handler_errors) == len(contexts)
    for failure, ctx in zip(result.handler_errors, contexts):
        assert failure.handler is handler
        assert (failure.syscall, failure.pid) == (ctx.syscall_nr, ctx.pid)
        assert failure.exception is exception
        assert failure.action == EIO
    trace = exception.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "handle"


def test_one_log_record_each(caplog: pytest.LogCaptureFixture) -> None:
    exception = OSError("on purpose")
    result, _, contexts = failed_run(exception)
    records = [record for record in caplog.records if record.name.partition(".")[0] == "sandlock"]
    assert len(records) == len(result.handler_errors)
    for record, ctx in zip(records, contexts):
        assert (record.name, record.levelno) == ("sandlock", logging.ERROR)
        assert record.exc_info is not None
        assert record.exc_info[1] is exception
        for word in ("Failing", str(ctx.syscall_nr), str(ctx.pid), "errno(5)"):
            assert word in record.getMessage()


def test_nothing_is_logged_when_nothing_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    result = tool_sandbox().run(UMASK, handlers=[("umask", Answer())])
    assert result.handler_errors == []
    assert caplog.records == []


def test_results_do_not_share_their_errors() -> None:
    first, _, _ = failed_run(OSError())
    second = tool_sandbox().run(UMASK, handlers=[("umask", Answer())])
    assert first.handler_errors
    assert second.handler_errors == []
