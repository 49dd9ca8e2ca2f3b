"""Asking the handlers of a chain, and giving the answer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from ._chain import Chain, Link
from ._rules import action_for
from .actions import CONTINUE, NotifAction
from .errors import NotifError, from_core
from .handler import HandlerCtx
from .result import HandlerFailure

__all__ = ["Failures", "ask", "checked", "conclude", "decide", "discard", "give"]

_log = logging.getLogger("sandlock")

_CONTINUE = NotifAction.continue_()

Send = Callable[[int, int, int], int]
"""Give an answer of a kind, with operand and value; the result is that of Settle in bindings/core."""


class Failures(list[HandlerFailure]):
    """What went wrong in the handlers of one run."""

    def record(
        self, link: Link, ctx: HandlerCtx, exception: BaseException, action: NotifAction | None = None
    ) -> NotifAction:
        """Keep and log a failure, and return what answers instead: ``action``, or what the rules say."""
        if action is None:
            action = action_for(type(exception), link.rules)
        self.append(HandlerFailure(link.handler, ctx.syscall_nr, ctx.pid, exception, action))
        _log.error(
            "%s failed on system call %d of process %d; answered with %r",
            type(link.handler).__name__,
            ctx.syscall_nr,
            ctx.pid,
            action,
            exc_info=exception,
        )
        return action

    def first_base_exception(self) -> BaseException | None:
        """Return what must reach the caller of run: KeyboardInterrupt, SystemExit and their like."""
        exceptions = (failure.exception for failure in self)
        return next((e for e in exceptions if not isinstance(e, Exception)), None)


def checked(link: Link, action: object) -> NotifAction:
    """Return what a handler returned, if it is an answer that the handler may give."""
    if not isinstance(action, NotifAction):
        raise TypeError(f"{type(link.handler).__name__}.handle returned {action!r}, which is no NotifAction")
    if action._kind and link.handler.observe:
        raise TypeError(f"{type(link.handler).__name__} observes, and cannot decide: it returned {action!r}")
    return action


def discard(action: object) -> None:
    """Close the descriptor of an answer that was returned and is not given to anybody."""
    source = action._source if isinstance(action, NotifAction) else None
    if source is not None:
        with contextlib.suppress(RuntimeError, OSError):  # given before, or closed by its owner
            source.take()
            source.close()


def decide(
    chain: Chain, ctx: HandlerCtx, failures: Failures, limit: Callable[[float | None], object]
) -> tuple[NotifAction, Link]:
    """Return the first answer of the chain that is not Continue, and whose it is.

    Args:
        limit: starts the time limit of the next handler; called for chains that are timed.
    """
    for position, link in enumerate(chain.links):
        if position and chain.is_timed:
            limit(link.timeout)
        action = ask(link, ctx, failures)
        if action._kind != CONTINUE:
            break
    conclude(chain, ctx, action, failures)
    return action, link


def ask(link: Link, ctx: HandlerCtx, failures: Failures) -> NotifAction:
    """Return one handler's answer, or what answers for its exception."""
    try:
        action = link.handler.handle(ctx)
        if type(action) is NotifAction and not action._kind:
            return action
        return checked(link, action)
    except BaseException as exception:
        return failures.record(link, ctx, exception)


def conclude(chain: Chain, ctx: HandlerCtx, action: NotifAction, failures: Failures) -> None:
    """Tell the observers what was decided."""
    for link in chain.observers:
        try:
            link.handler.decided(ctx, action)
        except BaseException as exception:
            failures.record(link, ctx, exception, action)


def give(action: NotifAction, link: Link, ctx: HandlerCtx, failures: Failures, send: Send) -> None:
    """Give an answer, close its descriptor, and tell who wanted to know the child's."""
    source = action._source
    value = action._value
    if source is not None:
        try:
            value = source.take()
        except Exception as exception:
            give(failures.record(link, ctx, exception), link, ctx, failures, send)
            return
    try:
        descriptor = send(action._kind, action._operand, value)
    except RuntimeError as error:
        failures.record(link, ctx, NotifError(str(from_core(error))), action)
        return
    finally:
        if source is not None:
            source.close()
    if descriptor >= 0 and action._on_success is not None:
        try:
            action._on_success(descriptor)
        except BaseException as exception:
            failures.record(link, ctx, exception, action)
