"""Handlers of one call are asked in order, until one decides."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Result, Sandbox
from tests.support.handlers import CONTINUE, Answer, Do

UMASK = ["sh", "-c", "umask"]


class Named(Handler):
    """Writes its name into a list and answers."""

    def __init__(self, name: str, order: list[str], action: NotifAction = CONTINUE) -> None:
        self._name = name
        self._order = order
        self._action = action

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self._order.append(self._name)
        return self._action


def once(result: Result, order: list[str], per_call: list[str]) -> bool:
    """Say whether each call asked exactly these handlers, in this order."""
    calls, rest = divmod(len(order), len(per_call))
    return result.success and calls > 0 and not rest and order == per_call * calls


def test_registration_order(box: Sandbox) -> None:
    order: list[str] = []
    handlers = [("umask", Named(name, order)) for name in "dacb"]
    assert once(box.run(UMASK, handlers=handlers), order, list("dacb"))


def test_the_first_decision_wins(box: Sandbox) -> None:
    order: list[str] = []
    handlers = [
        ("umask", Named("first", order)),
        ("umask", Named("second", order, NotifAction.returns(0o123))),
        ("umask", Named("third", order, NotifAction.returns(0o321))),
    ]
    result = box.run(UMASK, handlers=handlers)
    assert result.stdout == b"0123\n"
    assert once(result, order, ["first", "second"])


@pytest.mark.parametrize(
    "action", [NotifAction.returns(0), NotifAction.errno(errno.EPERM), NotifAction.kill()], ids=repr
)
def test_every_decision_ends_the_chain(box: Sandbox, action: NotifAction) -> None:
    last = Answer()
    box.run(UMASK, handlers=[("umask", Answer(action)), ("umask", last)])
    assert last.calls == 0


def test_the_same_handler_twice(box: Sandbox) -> None:
    handler, other = Answer(), Answer()
    box.run(UMASK, handlers=[("umask", handler), ("umask", other), ("umask", handler)], check=True)
    assert handler.calls == 2 * other.calls > 0


def test_calls_have_chains_of_their_own(box: Sandbox) -> None:
    order: list[str] = []
    handlers = [
        ("umask", Named("umask", order)),
        ("chdir", Named("chdir", order)),
        ("umask", Named("umask again", order)),
    ]
    box.run(["sh", "-c", "cd /; umask 077; cd /"], handlers=handlers, check=True)
    assert (order[0], order[-1]) == ("chdir", "chdir")
    between = order[1:-1]
    assert between == ["umask", "umask again"] * (len(between) // 2) != []


def test_by_number_and_by_name_is_the_same(box: Sandbox) -> None:
    order: list[str] = []
    numbers: list[int] = []

    class Number(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            numbers.append(ctx.syscall_nr)
            return CONTINUE

    box.run(UMASK, handlers=[("umask", Number())], check=True)
    mixed: list[Any] = [(numbers[0], Named("number", order)), ("umask", Named("name", order))]
    assert once(box.run(UMASK, handlers=mixed), order, ["number", "name"])


def test_calls_without_handler_are_not_seen(box: Sandbox) -> None:
    seen = Answer()
    box.run(["sh", "-c", "echo hello; cd /; exec true"], handlers=[("umask", seen)], check=True)
    assert seen.calls == 0


@pytest.mark.parametrize("kind", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_kinds_of_registrations(box: Sandbox, kind: type) -> None:
    handler = Answer(NotifAction.returns(0o123))
    assert box.run(UMASK, handlers=kind([("umask", handler)])).stdout == b"0123\n"


def test_run_with_handlers(box: Sandbox) -> None:
    handler = Answer(NotifAction.returns(0o123))
    assert box.run_with_handlers(UMASK, [("umask", handler)]).stdout == b"0123\n"
    assert box.run_with_handlers(UMASK, handlers=[("umask", handler)], name="named").stdout == b"0123\n"
    names: list[str | None] = []

    def note(ctx: HandlerCtx) -> NotifAction:
        names.append(box.name)
        return CONTINUE

    assert box.run_with_handlers(UMASK, [("umask", Do(note))], "named").success
    assert (names[0], box.name != "named") == ("named", True)
    assert box.run_with_handlers(["echo", "hello"], []).stdout == b"hello\n"
    assert box.run_with_handlers(["/nonexistent"], [("umask", handler)]).exit_code == 127


def test_a_subclass_of_a_subclass_and_a_callable_attribute(box: Sandbox) -> None:
    class Sub(Answer):
        pass

    sub = Sub(NotifAction.returns(0o123))
    assert box.run(UMASK, handlers=[("umask", sub)]).stdout == b"0123\n"
    bare = Handler()
    bare.handle = lambda ctx: NotifAction.returns(0o321)  # type: ignore[method-assign]
    assert box.run(UMASK, handlers=[("umask", bare)]).stdout == b"0321\n"


def test_all_processes_of_the_tree(box: Sandbox, tmp_path: Path) -> None:
    pids: set[int] = set()

    class Pids(Handler):
        def handle(self, ctx: HandlerCtx) -> NotifAction:
            pids.add(ctx.pid)
            return CONTINUE

    script = "umask 077; (umask 077; sh -c 'umask 077; setsid sh -c \"umask 077\"'); wait"
    box.run(["sh", "-c", script], handlers=[("umask", Pids())], check=True)
    assert len(pids) >= 3
