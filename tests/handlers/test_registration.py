"""What is no handler is refused when it is registered, before anything starts."""

from __future__ import annotations

import abc
import asyncio
import functools
from typing import Any, Callable

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, PolicyError, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do
from tests.support.processes import children, open_fds


class NoHandle(Handler):
    pass


class NoArgument(Handler):
    def handle(self) -> NotifAction:  # type: ignore[override]
        return CONTINUE


class TwoArguments(Handler):
    def handle(self, ctx: HandlerCtx, more: int) -> NotifAction:  # type: ignore[override]
        return CONTINUE


class ByKeyword(Handler):
    def handle(self, *, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        return CONTINUE


class AsyncNoArgument(Handler):
    async def handle(self) -> NotifAction:  # type: ignore[override]
        return CONTINUE


class NotCallable(Handler):
    handle = 3  # type: ignore[assignment]


class Abstract(Handler, abc.ABC):
    @abc.abstractmethod
    def handle(self, ctx: HandlerCtx) -> NotifAction: ...


class Duck:
    """Looks like a handler."""

    on_exception = CONTINUE

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return CONTINUE


def instance_without_arguments() -> Handler:
    handler = Handler()
    handler.handle = lambda: CONTINUE  # type: ignore[method-assign, assignment, misc]
    return handler


WRONG: dict[str, tuple[Any, str]] = {
    "a class": (Answer, r"Answer is a class; register an instance, Answer\(\)"),
    "an abstract class": (Abstract, r"Abstract is a class; register an instance"),
    "Handler itself": (Handler, r"Handler is a class"),
    "an instance of Handler": (Handler(), r"Handler does not define handle\(self, ctx\)"),
    "no handle": (NoHandle(), r"NoHandle does not define handle\(self, ctx\)"),
    "no argument": (NoArgument(), r"NoArgument.handle\(\).* cannot be called with one argument, ctx"),
    "two arguments": (TwoArguments(), r"TwoArguments.handle\(ctx: .*, more: .*\).* cannot be called with one argument"),
    "a keyword argument": (ByKeyword(), r"ByKeyword.handle\(\*, ctx: .*\).* cannot be called with one argument"),
    "async, no argument": (AsyncNoArgument(), r"AsyncNoArgument.handle\(\).* cannot be called with one argument"),
    "an attribute, no argument": (instance_without_arguments(), r"Handler.handle\(\) cannot be called"),
    "not callable": (NotCallable(), r"handle of NotCallable must be a method handle\(self, ctx\), not 3"),
    "a duck": (Duck(), r"Duck object.* is no Handler; subclass sandlock.Handler"),
    "a function": (lambda ctx: CONTINUE, r"lambda.* is no Handler"),
    "a method": (Answer().handle, r"Answer.handle.* is no Handler"),
    "an action": (CONTINUE, r"continue_\(\) is no Handler"),
    "None": (None, r"None is no Handler"),
    "text": ("Answer", r"'Answer' is no Handler"),
    "a list of handlers": ([Answer()], r"is no Handler"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_refused(box: Sandbox, wrong: str) -> None:
    before = open_fds(), children()
    value, words = WRONG[wrong]
    with pytest.raises(TypeError, match=rf"handlers\[1\]: .*{words}"):
        box.run(["true"], handlers=[("umask", Answer()), ("umask", value)])
    assert (open_fds(), children()) == before
    assert not box.is_running


def test_an_abstract_handler_has_no_instance() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Abstract()  # type: ignore[abstract]


@pytest.mark.parametrize("handlers", ["umask", b"umask", 3, Answer(), ("umask", Answer())], ids=repr)
def test_no_sequence_of_registrations(box: Sandbox, handlers: Any) -> None:
    with pytest.raises(TypeError, match="handlers"):
        box.run(["true"], handlers=handlers)


WAYS: dict[str, Callable[[Sandbox, Any], object]] = {
    "run": lambda box, handlers: box.run(["true"], handlers=handlers),
    "run_with_handlers": lambda box, handlers: box.run_with_handlers(["true"], handlers),
    "popen": lambda box, handlers: box.popen(["true"], handlers=handlers),
    "spawn": lambda box, handlers: box.spawn(["true"], handlers=handlers),
    "create": lambda box, handlers: box.create(["true"], handlers=handlers),
    "arun": lambda box, handlers: asyncio.run(box.arun(["true"], handlers=handlers)),
}


@pytest.mark.parametrize("way", WAYS)
def test_refused_in_every_way_to_run(box: Sandbox, way: str) -> None:
    """And the sandbox is free for the next command."""
    before = children()
    with pytest.raises(TypeError, match=r"handlers\[0\]: Answer is a class"):
        WAYS[way](box, [("umask", Answer)])
    with pytest.raises(PolicyError, match="ptrace"):
        WAYS[way](box, [("ptrace", Answer())])
    assert (children(), box.is_running) == (before, False)
    assert box.run(["true"]).success


class Demanding(Handler):
    """Its handle cannot even be looked at."""

    @property
    def handle(self) -> Any:  # type: ignore[override]
        raise LookupError("on purpose")


def test_an_exception_of_the_handler_itself_comes_through(box: Sandbox) -> None:
    with pytest.raises(LookupError, match="on purpose"):
        box.run(["true"], handlers=[("umask", Demanding())])
    assert not box.is_running


class Optional(Handler):
    def handle(self, ctx: HandlerCtx, more: int = 0) -> NotifAction:
        return NotifAction.returns(0o123)


class Anything(Handler):
    def handle(self, *args: Any, **kwargs: Any) -> NotifAction:
        return NotifAction.returns(0o123)


class Static(Handler):
    @staticmethod
    def handle(ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        return NotifAction.returns(0o123)


class OfClass(Handler):
    @classmethod
    def handle(cls, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        return NotifAction.returns(0o123)


class Partial(Handler):
    def __init__(self) -> None:
        self.handle = functools.partial(self._answer, 0o123)  # type: ignore[method-assign]

    def _answer(self, value: int, ctx: HandlerCtx) -> NotifAction:
        return NotifAction.returns(value)


class NoSuperInit(Handler):
    def __init__(self) -> None:
        pass

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return NotifAction.returns(0o123)


@pytest.mark.parametrize("kind", [Optional, Anything, Static, OfClass, Partial, NoSuperInit])
def test_accepted(box: Sandbox, kind: type[Handler]) -> None:
    assert box.run(["sh", "-c", "umask"], handlers=[("umask", kind())]).stdout == b"0123\n"


def test_a_generator_is_no_answer(box: Sandbox) -> None:
    class Generating(Handler):
        def handle(self, ctx: HandlerCtx) -> Any:
            yield CONTINUE

    result = box.run(["sh", "-c", "umask"], handlers=[("umask", Generating(), NotifAction.returns(0o123))])
    assert result.stdout == b"0123\n"
    assert "generator object" in str(result.handler_errors[0].exception)


def test_what_is_registered_after_the_start_is_for_the_next_run(box: Sandbox) -> None:
    late = Answer(NotifAction.returns(0o123))
    handlers: list[tuple[str, Handler]] = []

    def register(ctx: HandlerCtx) -> NotifAction:
        handlers.append(("umask", late))
        return CONTINUE

    handlers.append(("chdir", Do(register)))
    script = ["sh", "-c", "cd /; umask 077; umask"]
    assert box.run(script, handlers=handlers).stdout == b"0077\n"
    assert late.calls == 0
    assert box.run(script, handlers=handlers).stdout == b"0123\n"


def test_attributes_that_change_during_the_run_count_for_the_next(box: Sandbox) -> None:
    """The rules of a run are those of its start: what Go was told, and what Python does, are the same."""

    class Changing(Handler):
        on_exception: Any = NotifAction.returns(0o123)

        def handle(self, ctx: HandlerCtx) -> NotifAction:
            self.on_exception = NotifAction.returns(0o321)
            raise LookupError

    handler = Changing()
    assert box.run(["sh", "-c", "umask"], handlers=[("umask", handler)]).stdout == b"0123\n"
    assert box.run(["sh", "-c", "umask"], handlers=[("umask", handler)]).stdout == b"0321\n"
