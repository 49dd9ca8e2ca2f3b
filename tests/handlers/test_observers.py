"""Observers see every call before those who decide, learn what was decided, and decide nothing."""

from __future__ import annotations

import errno
import os
import signal
import threading
from typing import Any, Callable

import pytest

from sandlock import ExceptionPolicy, ExitReason, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do, Fail
from tests.support.processes import PATIENCE

CHDIR = ["sh", "-c", "cd / || echo refused"]
EPERM = NotifAction.errno(errno.EPERM)


class Observer(Handler):
    """Writes down what it sees."""

    observe = True

    def __init__(self, name: str = "observer", events: list[Any] | None = None) -> None:
        self._name = name
        self.events: list[Any] = [] if events is None else events
        self.decisions: list[NotifAction] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.events.append(f"{self._name} sees")
        return CONTINUE

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        self.events.append(f"{self._name} learns")
        self.decisions.append(action)


class Decider(Answer):
    def __init__(self, name: str, events: list[Any], action: NotifAction = CONTINUE) -> None:
        super().__init__(action)
        self._name = name
        self._events = events

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self._events.append(f"{self._name} decides")
        return super().handle(ctx)


def test_the_order(box: Sandbox) -> None:
    """Whatever the order of the registrations."""
    events: list[Any] = []
    handlers: list[tuple[str, Handler]] = [
        ("chdir", Decider("first", events)),
        ("chdir", Observer("one", events)),
        ("chdir", Decider("second", events, EPERM)),
        ("chdir", Observer("two", events)),
        ("chdir", Decider("third", events)),
    ]
    assert box.run(CHDIR, handlers=handlers).stdout == b"refused\n"
    expected = "one sees|two sees|first decides|second decides|one learns|two learns"
    assert "|".join(events) == expected


ACTIONS: dict[str, Callable[[], NotifAction]] = {
    "errno": lambda: EPERM,
    "returns": lambda: NotifAction.returns(0),
    "kill": lambda: NotifAction.kill(signal.SIGTERM),
    "kill a process": lambda: NotifAction.kill(pid=0),
    "inject_fd": lambda: NotifAction.inject_fd(os.open("/dev/null", os.O_RDONLY), 9),
    "inject_fd_send": lambda: NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY)),
    "inject_bytes": lambda: NotifAction.inject_bytes(b""),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_final_action(box: Sandbox, action: str) -> None:
    made: list[NotifAction] = []

    def decide(ctx: HandlerCtx) -> NotifAction:
        made.append(ACTIONS[action]())
        return made[-1]

    observer = Observer()
    result = box.run(CHDIR, handlers=[("chdir", observer), ("chdir", Do(decide))])
    assert observer.decisions == made
    assert observer.decisions[0] is made[0]
    assert result.handler_errors == []


def test_nobody_decides(box: Sandbox) -> None:
    observer = Observer()
    assert box.run(CHDIR, handlers=[("chdir", observer)]).stdout == b""
    assert observer.decisions == [CONTINUE]


@pytest.mark.parametrize(
    "rule", [EPERM, ExceptionPolicy.DENY_EIO, ExceptionPolicy.CONTINUE, NotifAction.returns(0)], ids=repr
)
def test_what_answers_for_an_exception(box: Sandbox, rule: Any) -> None:
    observer = Observer()
    result = box.run(CHDIR, handlers=[("chdir", observer), ("chdir", Fail(OSError()), rule)])
    assert observer.decisions == [result.handler_errors[0].action]


def test_kill_for_an_exception(box: Sandbox) -> None:
    observer = Observer()
    result = box.run(CHDIR, handlers=[("chdir", observer), ("chdir", Fail(OSError()))])
    assert result.reason == ExitReason.KILLED
    assert observer.decisions == [NotifAction.kill(signal.SIGKILL)]


def test_a_decision_that_came_too_late(box: Sandbox) -> None:
    """The observer learns what the child got."""
    observer, goes_on = Observer(), threading.Event()

    def late(ctx: HandlerCtx) -> NotifAction:
        assert goes_on.wait(PATIENCE)
        return NotifAction.returns(0)

    def next_call(ctx: HandlerCtx) -> NotifAction:
        goes_on.set()
        return CONTINUE

    slow = Do(late)
    slow.handler_timeout, slow.on_exception = 0.01, EPERM
    handlers: list[tuple[str, Handler]] = [("chdir", observer), ("chdir", slow), ("umask", Do(next_call))]
    result = box.run(["sh", "-c", "cd / || echo refused; umask >&2"], handlers=handlers)
    assert result.stdout == b"refused\n"
    assert observer.decisions == [EPERM]


def test_the_child_waits_until_they_know(box: Sandbox) -> None:
    order: list[str] = []

    class Slow(Observer):
        def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
            assert ctx.read(ctx.instruction_pointer, 1) is not None, "the call is not answered yet"
            order.append("decided")

    def next_call(ctx: HandlerCtx) -> NotifAction:
        order.append("next call")
        return CONTINUE

    script = ["sh", "-c", "cd /; umask"]
    result = box.run(script, handlers=[("chdir", Slow()), ("chdir", Answer(EPERM)), ("umask", Do(next_call))])
    assert result.handler_errors == []
    assert order[:2] == ["decided", "next call"]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_observer_cannot_decide(box: Sandbox, action: str) -> None:
    observer, decider = Do(lambda ctx: ACTIONS[action]()), Answer(NotifAction.returns(0))
    observer.observe = True
    box.on_exception = EPERM
    result = box.run(CHDIR, handlers=[("chdir", decider), ("chdir", observer)])
    assert result.stdout == b"refused\n"
    (failure,) = result.handler_errors
    assert isinstance(failure.exception, TypeError)
    assert "Do observes, and cannot decide" in str(failure.exception)
    assert decider.calls == 0


def test_an_observer_that_fails_with_continue_lets_the_others_decide(box: Sandbox) -> None:
    observer = Fail(OSError())
    observer.observe, observer.on_exception = True, ExceptionPolicy.CONTINUE
    result = box.run(CHDIR, handlers=[("chdir", observer), ("chdir", Answer(EPERM))])
    assert result.stdout == b"refused\n"
    assert [failure.handler for failure in result.handler_errors] == [observer]


def test_a_failure_of_decided_changes_no_answer(box: Sandbox) -> None:
    class Failing(Observer):
        on_exception = ExceptionPolicy.KILL

        def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
            super().decided(ctx, action)
            raise LookupError

    failing, after = Failing(), Observer()
    result = box.run(CHDIR, handlers=[("chdir", failing), ("chdir", after), ("chdir", Answer(EPERM))])
    assert result.stdout == b"refused\n"
    assert failing.decisions == after.decisions == [EPERM]
    (failure,) = result.handler_errors
    assert (failure.handler, type(failure.exception), failure.action) == (failing, LookupError, EPERM)


def test_a_base_exception_of_decided_reaches_the_caller_of_run(box: Sandbox) -> None:
    class Interrupted(Observer):
        def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        box.run(CHDIR, handlers=[("chdir", Interrupted())])


def test_several_calls_and_the_same_one_twice(box: Sandbox) -> None:
    observer = Observer()
    handlers: list[tuple[str, Handler]] = [("chdir", observer), ("umask", observer), ("chdir", observer)]
    box.run(["sh", "-c", "cd /; umask"], handlers=handlers, check=True)
    assert observer.events[:4] == ["observer sees"] * 2 + ["observer learns"] * 2
    assert observer.events[4:6] == ["observer sees", "observer learns"]


def test_who_does_not_observe_learns_nothing(box: Sandbox) -> None:
    class Curious(Answer):
        def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
            raise AssertionError("it decides itself")

    result = box.run(CHDIR, handlers=[("chdir", Curious()), ("chdir", Observer())])
    assert result.handler_errors == []


@pytest.mark.parametrize("value", [1, 0, None, "yes"], ids=repr)
def test_observe_must_be_a_bool(box: Sandbox, value: Any) -> None:
    handler = Answer()
    handler.observe = value
    with pytest.raises(TypeError, match=r"handlers\[0\]: observe of Answer must be a bool"):
        box.run(["true"], handlers=[("chdir", handler)])
