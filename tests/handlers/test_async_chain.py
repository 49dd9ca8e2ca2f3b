"""Chains with asynchronous and synchronous handlers: the order is that of the registrations."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import threading
from typing import Any

import pytest

from sandlock import ExceptionPolicy, Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.handlers import CONTINUE, Do
from tests.support.processes import PATIENCE, Watched, open_fds

CHDIR = ["sh", "-c", "cd / || echo refused"]
EPERM = NotifAction.errno(errno.EPERM)


class Sync(Handler):
    def __init__(self, name: str, order: list[str], action: NotifAction = CONTINUE, observe: bool = False) -> None:
        self._name = name
        self._order = order
        self._action = action
        self.observe = observe
        self.threads: set[threading.Thread] = set()

    def handle(self, ctx: HandlerCtx) -> Any:
        self.threads.add(threading.current_thread())
        self._order.append(self._name)
        return self._action

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        self._order.append(f"{self._name} learns {action!r}")


class Async(Sync):
    async def handle(self, ctx: HandlerCtx) -> Any:
        await asyncio.sleep(0)
        return super().handle(ctx)


@pytest.mark.parametrize(
    "kinds", list(itertools.product([Sync, Async], repeat=3)), ids=lambda k: "-".join(x.__name__ for x in k)
)
def test_the_order(box: Sandbox, kinds: tuple[type[Sync], ...]) -> None:
    order: list[str] = []
    handlers = [("chdir", kind(str(position), order)) for position, kind in enumerate(kinds)]
    handlers.append(("chdir", Sync("last", order, EPERM)))
    result = box.run(CHDIR, handlers=handlers)
    assert (result.stdout, result.handler_errors) == (b"refused\n", [])
    assert order == ["0", "1", "2", "last"]


@pytest.mark.parametrize(
    "kinds", list(itertools.product([Sync, Async], repeat=2)), ids=lambda k: "-".join(x.__name__ for x in k)
)
def test_the_first_decision_wins(box: Sandbox, kinds: tuple[type[Sync], ...]) -> None:
    order: list[str] = []
    first, second = kinds[0]("first", order, EPERM), kinds[1]("second", order, NotifAction.returns(0))
    assert box.run(CHDIR, handlers=[("chdir", first), ("chdir", second)]).stdout == b"refused\n"
    assert order == ["first"]


@pytest.mark.parametrize("observer", [Sync, Async])
@pytest.mark.parametrize("decider", [Sync, Async])
def test_observers(box: Sandbox, observer: type[Sync], decider: type[Sync]) -> None:
    order: list[str] = []
    handlers = [("chdir", decider("decider", order, EPERM)), ("chdir", observer("observer", order, observe=True))]
    assert box.run(CHDIR, handlers=handlers).stdout == b"refused\n"
    assert order == ["observer", "decider", f"observer learns {EPERM!r}"]


def test_an_asynchronous_observer_that_decides(box: Sandbox) -> None:
    before = open_fds()

    class Deciding(Handler):
        observe = True

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            return NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY))

    result = box.run(CHDIR, handlers=[("chdir", Deciding(), EPERM)])
    assert result.stdout == b"refused\n"
    assert "observes, and cannot decide" in str(result.handler_errors[0].exception)
    assert open_fds() == before


def test_a_synchronous_handler_does_not_block_the_loop(box: Sandbox) -> None:
    """It waits for an asynchronous one that is asked later."""
    met = threading.Event()

    def wait(ctx: HandlerCtx) -> NotifAction:
        assert met.wait(PATIENCE)
        return CONTINUE

    class Meeting(Handler):
        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            met.set()
            return CONTINUE

    handlers: list[tuple[str, Handler]] = [("chdir", Do(wait)), ("chdir", Async("other", [])), ("umask", Meeting())]
    result = box.run(["sh", "-c", "cd / & umask >&2; wait; echo end"], handlers=handlers, timeout=100)
    assert (result.stdout, result.handler_errors) == (b"end\n", [])


def test_continue_for_an_exception_asks_the_next(box: Sandbox) -> None:
    class Failing(Handler):
        on_exception = ExceptionPolicy.CONTINUE

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            raise LookupError

    order: list[str] = []
    result = box.run(CHDIR, handlers=[("chdir", Failing()), ("chdir", Sync("next", order, EPERM))])
    assert result.stdout == b"refused\n"
    assert order == ["next"]
    assert len(result.handler_errors) == 1


def test_a_descriptor_of_a_synchronous_handler_whose_caller_died(box: Sandbox) -> None:
    """Its answer comes when the chain is given up already, and the descriptor is closed all the same."""
    before = open_fds()

    asked, gone = threading.Event(), threading.Event()

    def outlive(ctx: HandlerCtx) -> NotifAction:
        assert asked.wait(PATIENCE)
        with Watched(ctx.pid) as caller:
            box.kill()
            assert caller.gone()
        assert gone.wait(PATIENCE)
        return NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY))

    class Watching(Handler):
        """Sees to it that the chain has been given up: the loop cancels this one at the same time as that one."""

        async def handle(self, ctx: HandlerCtx) -> NotifAction:
            asked.set()
            try:
                await asyncio.sleep(1000)
            finally:
                gone.set()
            return CONTINUE

    handlers: list[tuple[str, Handler]] = [
        ("umask", Watching()),
        ("chdir", Do(outlive)),
        ("chdir", Async("other", [])),
    ]
    result = box.run(["sh", "-c", "umask >&2 & cd /"], handlers=handlers, timeout=100)
    assert result.handler_errors == []
    assert open_fds() == before
