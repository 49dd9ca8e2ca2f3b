"""Asking the handlers of a chain, and giving the answer."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Callable, Generator

from ._chain import Chain, Link
from ._extension import core
from ._rules import action_for
from .actions import CONTINUE, NotifAction
from .exceptions import NotifError, OverError, from_core
from .handler import HandlerCtx
from .result import HandlerFailure

__all__ = ["Decided", "Failures", "TooLateError", "ask", "decide", "deciding", "discard", "give", "tell"]

_log = logging.getLogger("sandlock")

Send = Callable[[int, int, int], int]
"""Give an answer of a kind, with operand and value; the result is that of Settle in bindings/core."""

Decided = tuple[NotifAction, Link]
"""The answer of a chain, and whose it is."""


class TooLateError(Exception):
    """Nobody waits for what a handler is asked, which was cancelled."""


# How many failures are kept: a child must not be able to fill the host's memory.
_MOST_KEPT = 10_000


class Failures(list[HandlerFailure]):
    """What went wrong in the handlers of one run: the first failures, and how many more there were."""

    more = 0

    def record(
        self, link: Link, ctx: HandlerCtx, exception: BaseException, action: NotifAction | None = None
    ) -> NotifAction:
        """Keep and log a failure, and return what answers instead: ``action``, or what the rules say."""
        if action is None:
            action = action_for(type(exception), link.rules)
        self.add(HandlerFailure(link.handler, ctx.syscall_nr, ctx.pid, exception, action))
        return action

    def add(self, failure: HandlerFailure) -> None:
        """Keep and log a failure."""
        if len(self) < _MOST_KEPT or not isinstance(failure.exception, Exception):
            self.append(failure)
        else:
            self.more += 1
        _log.error(
            "%s failed on system call %d of process %d; answered with %r",
            type(failure.handler).__name__,
            failure.syscall,
            failure.pid,
            failure.action,
            exc_info=failure.exception,
        )

    def first_base_exception(self) -> BaseException | None:
        """Return what must reach the caller of run: KeyboardInterrupt, SystemExit and their like."""
        exceptions = (failure.exception for failure in self)
        return next((e for e in exceptions if not isinstance(e, Exception)), None)


def _checked(link: Link, action: object) -> NotifAction:
    """Return what a handler returned, if it is an answer that the handler may give."""
    if inspect.iscoroutine(action):
        action.close()
        raise TypeError(f"{type(link.handler).__name__}.handle returned a coroutine; declare it with async def")
    if not isinstance(action, NotifAction):
        raise TypeError(f"{type(link.handler).__name__}.handle returned {action!r}, which is no NotifAction")
    if action._kind and link.handler.observe:
        discard(action)
        raise TypeError(f"{type(link.handler).__name__} observes, and cannot decide: it returned {action!r}")
    return action


def discard(action: object) -> None:
    """Close the descriptor of an answer that was returned and is not given to anybody."""
    source = action._source if isinstance(action, NotifAction) else None
    if source is not None:
        with contextlib.suppress(Exception):  # given before, or closed by its owner
            source.take()
            source.close()


def ask(link: Link, ctx: HandlerCtx, failures: Failures) -> NotifAction:
    """Return the answer of the only handler of a chain, or what answers for its exception."""
    try:
        action = link.handler.handle(ctx)
        if type(action) is NotifAction and not action._kind:
            return action
        return _checked(link, action)
    except BaseException as exception:
        return failures.record(link, ctx, exception)


def decide(run: int, chain: Chain, ctx: HandlerCtx, failures: Failures) -> Decided | None:
    """Ask the handlers of a chain, and return the first answer that is not Continue; None where time was over."""
    steps = deciding(run, chain, ctx, failures)
    try:
        link = next(steps)
        while True:
            try:
                answer = link.handler.handle(ctx)
            except BaseException as exception:
                link = steps.throw(exception)
            else:
                link = steps.send(answer)
    except StopIteration as end:
        decided: Decided | None = end.value
        return decided


def deciding(run: int, chain: Chain, ctx: HandlerCtx, failures: Failures) -> Generator[Link, object, Decided | None]:
    """Yield each handler that is to be asked; what it returns is to be sent in, and what it raises to be thrown in.

    Each has its own time, if the chain is timed. When that is over, Go has answered with the constant action.

    Returns:
        The answer, with the time stopped; None when it is answered already, or nobody waits any more.
    """
    for stage, link in enumerate(chain.links):
        exception: BaseException | None = None
        try:
            action = _checked(link, (yield link))
        except TooLateError:
            if not chain.is_timed or _go_on(run, chain, ctx, stage, None) is not False:
                return None  # it was not the time: the child is gone
            tell(chain, ctx, chain.constants[stage], failures)
            return None
        except BaseException as error:
            exception = error
            action = action_for(type(error), link.rules)
        last = action._kind != CONTINUE or stage == len(chain.links) - 1
        in_time = not chain.is_timed or (
            _go_on(run, chain, ctx, stage, None)
            if last
            else _go_on(run, chain, ctx, stage + 1, chain.links[stage + 1].timeout)
        )
        if not in_time:
            discard(action)
            action = chain.constants[stage]
        if exception is not None:
            failures.record(link, ctx, exception, action)
        if in_time is None:
            return None
        if last or not in_time:
            tell(chain, ctx, action, failures)
            return (action, link) if in_time else None
    raise AssertionError("a chain has at least one handler")


def _go_on(run: int, chain: Chain, ctx: HandlerCtx, stage: int, seconds: float | None) -> bool | None:
    """Start the time of a stage, None for unlimited; False when the call is answered already, None after the run."""
    constant = chain.constants[stage]
    limit = seconds or 0.0
    try:
        return bool(core().core_Limit(run, ctx.id, stage, limit, constant._kind, constant._operand, constant._value))
    except RuntimeError as error:
        fault = from_core(error)
        if isinstance(fault, OverError):
            return None
        raise fault from None


def tell(chain: Chain, ctx: HandlerCtx, action: NotifAction, failures: Failures) -> None:
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
    descriptor = -1
    try:
        descriptor = send(action._kind, action._operand, value)
    except RuntimeError as error:
        failures.record(link, ctx, NotifError(str(from_core(error))), action)
    finally:
        if source is not None:
            try:
                source.close()
            except Exception as exception:
                failures.record(link, ctx, exception, action)
    if descriptor >= 0 and action._on_success is not None:
        try:
            action._on_success(descriptor)
        except BaseException as exception:
            failures.record(link, ctx, exception, action)
