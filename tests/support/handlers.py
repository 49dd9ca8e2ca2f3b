"""Handlers for the tests."""

from __future__ import annotations

import threading
from typing import Callable

from sandlock import Handler, HandlerCtx, NotifAction

CONTINUE = NotifAction.continue_()


class Do(Handler):
    """Answers with what a function returns."""

    def __init__(self, function: Callable[[HandlerCtx], NotifAction]) -> None:
        self._function = function

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return self._function(ctx)


class Answer(Handler):
    """Gives the same answer to every call, and counts them."""

    def __init__(self, action: NotifAction = CONTINUE) -> None:
        self._action = action
        self._lock = threading.Lock()
        self.calls = 0

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        with self._lock:
            self.calls += 1
        return self._action


class Fail(Handler):
    """Raises, and counts."""

    def __init__(self, exception: BaseException) -> None:
        self._exception = exception
        self.calls = 0

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.calls += 1
        raise self._exception
