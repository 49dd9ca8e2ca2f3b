"""Handlers that are unusual as objects are handlers like any other."""

from __future__ import annotations

import errno
import typing
from dataclasses import dataclass
from typing import Any

import pytest

from sandlock import Handler, HandlerCtx, HandlerError, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Answer, Fail

CHDIR = ["sh", "-c", "cd / || echo refused"]
EPERM = NotifAction.errno(errno.EPERM)

T = typing.TypeVar("T")


class Refusing(Handler):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return EPERM


@dataclass
class Unhashable(Refusing):
    number: int = 0


class WithSlots(Refusing):
    __slots__ = ("number",)


class EqualToNothing(Refusing):
    def __eq__(self, other: object) -> bool:
        raise LookupError("compared")

    __hash__ = None  # type: ignore[assignment]


class NeitherTrueNorFalse(Refusing):
    def __bool__(self) -> bool:
        raise LookupError("asked whether it is true")


class Empty(Refusing):
    def __len__(self) -> int:
        return 0


class Unchangeable(Refusing):
    def __setattr__(self, name: str, value: object) -> None:
        raise LookupError(name)


class AttributesOfItsOwn(Refusing):
    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)


class Generic(Refusing, typing.Generic[T]):
    pass


class Callable:
    def __call__(self, ctx: HandlerCtx) -> NotifAction:
        return EPERM


class ByAnObject(Handler):
    handle = Callable()  # type: ignore[assignment]


KINDS: list[type[Handler]] = [
    Unhashable,
    WithSlots,
    EqualToNothing,
    NeitherTrueNorFalse,
    Empty,
    Unchangeable,
    AttributesOfItsOwn,
    Generic,
    ByAnObject,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alone", [True, False])
def test_decides(box: Sandbox, kind: type[Handler], alone: bool) -> None:
    handlers = [kind()] if alone else [Answer(), kind(), Answer()]
    result = box.run(CHDIR, handlers=[("chdir", handler) for handler in handlers], timeout=60)
    assert (result.stdout, result.handler_errors) == (b"refused\n", [])


class Nameless(Fail):
    def __repr__(self) -> str:
        raise LookupError("shown")


def test_a_failure_of_one_that_cannot_be_shown(box: Sandbox) -> None:
    handler = Nameless(OSError("on purpose"))
    with pytest.raises(HandlerError, match=r"Nameless on system call .*on purpose"):
        box.run(CHDIR, handlers=[("chdir", handler, EPERM)], raise_handler_errors=True, timeout=60)


class Derived(NotifAction):
    pass


@pytest.mark.parametrize("action", [Derived.errno(errno.EPERM), Derived.returns(-errno.EPERM)], ids=repr)
def test_an_action_of_a_derived_class(box: Sandbox, action: NotifAction) -> None:
    result = box.run(CHDIR, handlers=[("chdir", Answer(action)), ("chdir", Answer(CONTINUE))], timeout=60)
    assert (result.stdout, result.handler_errors) == (b"refused\n", [])
