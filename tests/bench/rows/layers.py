"""Where the time of one notification goes: each contestant does one thing more than the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable
from unittest import mock

import sandlock._run
from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from sandlock._workers import Workers

from ..setting import Setting, readable
from ..timing import Contestant, Entry, Row
from .entries import entry
from .notifications import builtin, nanoseconds

__all__ = ["rows"]


def rows() -> Iterator[Row]:
    yield Row("layers", "one getppid", _layers, rounds=31, seconds=60, layers=True)


def _layers(setting: Setting) -> Sequence[Entry]:
    floor, caller = setting.program("floor"), setting.program("caller")
    command = [caller, "getppid", str(setting.size(10_000, 1_000)), "1"]
    return [
        Contestant("the call itself, not trapped", lambda: nanoseconds(command)),
        Contestant("kernel: trap, wake, receive, answer (floor.c)", lambda: nanoseconds([floor, "getppid", *command])),
        Contestant("poll before the receive (floor.c)", lambda: nanoseconds([floor, "getppid-poll", *command])),
        entry("Go: chain look-up, a handler in Go", lambda: builtin(setting, command)),
        Contestant("pull: pending, frame, gopy, GIL; an empty loop", _pulled(command, _Empty)),
        Contestant("the notification unpacked", _pulled(command, _Unpacked)),
        Contestant("a HandlerCtx and the chain looked up", _pulled(command, _Looked)),
        Contestant("the handler called", _pulled(command, _Called)),
        Contestant("all that a worker does: errors, answers, crowding", _pulled(command, Workers)),
    ]


class _Continue(Handler):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return NotifAction.continue_()


def _pulled(command: Sequence[str], workers: type[Workers]) -> Callable[[], float]:
    """Return what runs a command whose getppid calls are pulled by these workers."""
    sandbox = Sandbox(fs_readable=readable())

    def measure() -> float:
        with mock.patch.object(sandlock._run, "Workers", workers):
            result = sandbox.run(command, handlers=[("getppid", _Continue())], check=True)
        return float(result.stdout) / 1e9

    return measure


class _Empty(Workers):
    """Leaves the answers as they are: Continue."""

    def _work(self, index: int) -> None:
        following, run = self._core.core_Next, self._run
        while following(run, index):
            pass


class _Unpacked(Workers):
    def _work(self, index: int) -> None:
        following, run = self._core.core_Next, self._run
        slot, _ = self._frame.worker(index)
        notification = slot.notification
        while following(run, index):
            notification()


class _Looked(Workers):
    def _work(self, index: int) -> None:
        following, run = self._core.core_Next, self._run
        slot, memory = self._frame.worker(index)
        notification, chains = slot.notification, self._chains
        while following(run, index):
            snapshot = notification()
            _ = chains[snapshot[3]].sole
            HandlerCtx(memory, snapshot)


class _Called(Workers):
    def _work(self, index: int) -> None:
        following, run = self._core.core_Next, self._run
        slot, memory = self._frame.worker(index)
        notification, chains = slot.notification, self._chains
        while following(run, index):
            snapshot = notification()
            link = chains[snapshot[3]].sole
            assert link is not None
            link.handler.handle(HandlerCtx(memory, snapshot))
