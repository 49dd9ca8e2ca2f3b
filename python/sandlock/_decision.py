"""What a chain of handlers answers, exceptions included."""

from __future__ import annotations

import errno
import inspect
import logging
import signal
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ._syscalls import number_of
from .actions import ExceptionPolicy, NotifAction
from .handler import Handler, HandlerCtx, OnException
from .result import HandlerFailure

__all__ = ["Chains", "Failures", "HandlerSpec", "decide", "resolve_registrations"]

HandlerSpec = Iterable["tuple[str | int, Handler] | tuple[str | int, Handler, OnException]"]

_log = logging.getLogger("sandlock")

_POLICY_ACTIONS = {
    ExceptionPolicy.KILL: NotifAction.kill(signal.SIGKILL),
    ExceptionPolicy.DENY_EPERM: NotifAction.errno(errno.EPERM),
    ExceptionPolicy.CONTINUE: NotifAction.continue_(),
    ExceptionPolicy.DENY_EIO: NotifAction.errno(errno.EIO),
}


class _Link(NamedTuple):
    """A handler's place in a chain, with the exception rules that apply there, the most specific first."""

    handler: Handler
    rules: tuple[OnException, ...]


Chains = dict[int, tuple[_Link, ...]]


class Failures(list[HandlerFailure]):
    """What went wrong in the handlers of one run."""

    def first_base_exception(self) -> BaseException | None:
        """Return what must reach the caller of run: KeyboardInterrupt, SystemExit and their like."""
        for failure in self:
            if not isinstance(failure.exception, Exception):
                return failure.exception
        return None


def resolve_registrations(handlers: HandlerSpec, default: OnException) -> Chains:
    """Return the chains by system call number.

    Raises:
        TypeError: a registration is no ``(syscall, handler)`` or ``(syscall, handler, on_exception)``.
        ValueError: unknown name or negative number of a system call.
    """
    check_on_exception("on_exception", default)
    chains: Chains = {}
    for position, registration in enumerate(handlers):
        where = f"handlers[{position}]"
        if not isinstance(registration, tuple) or len(registration) not in (2, 3):
            raise TypeError(
                f"{where} must be (syscall, handler) or (syscall, handler, on_exception), not {registration!r}"
            )
        syscall, handler = registration[0], registration[1]
        number = number_of(syscall)
        _check_handler(where, handler)
        rules: tuple[OnException, ...] = (default,)
        if _overrides(handler):
            check_on_exception(f"{where}: on_exception of {type(handler).__name__}", handler.on_exception)
            rules = (handler.on_exception, *rules)
        if len(registration) == 3:
            check_on_exception(f"{where}: on_exception", registration[2])
            rules = (registration[2], *rules)
        chains[number] = (*chains.get(number, ()), _Link(handler, rules))
    return chains


def _check_handler(where: str, handler: object) -> None:
    if isinstance(handler, type):
        raise TypeError(f"{where}: {handler.__name__} is a class; register an instance, {handler.__name__}()")
    if not isinstance(handler, Handler):
        raise TypeError(f"{where}: {handler!r} is no Handler; subclass sandlock.Handler")
    if inspect.iscoroutinefunction(handler.handle):
        raise TypeError(f"{where}: {type(handler).__name__}.handle is async, which is not supported yet")


def check_on_exception(name: str, rule: object) -> None:
    """Raise TypeError unless ``rule`` can say what answers for an exception."""
    if isinstance(rule, (NotifAction, ExceptionPolicy)):
        return
    if isinstance(rule, Mapping):
        for kind, answer in rule.items():
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise TypeError(f"{name}: {kind!r} is no exception type")
            if not isinstance(answer, (NotifAction, ExceptionPolicy)):
                raise TypeError(f"{name}: {answer!r} is neither a NotifAction nor an ExceptionPolicy")
        return
    raise TypeError(f"{name} must be a NotifAction, an ExceptionPolicy or a mapping, not {rule!r}")


def _overrides(handler: Handler) -> bool:
    """Say whether the handler or one of its classes below Handler sets on_exception."""
    if "on_exception" in getattr(handler, "__dict__", {}):
        return True
    for base in type(handler).__mro__:
        if base is Handler:
            return False
        if "on_exception" in vars(base):
            return True
    return False


def action_for(exception: BaseException, rules: Iterable[OnException]) -> NotifAction:
    """Return the answer for an exception: the nearest class that a rule names, else the next rule, else KILL."""
    for rule in rules:
        if isinstance(rule, Mapping):
            named = next((kind for kind in type(exception).__mro__ if kind in rule), None)
            if named is None:
                continue
            rule = rule[named]
        if isinstance(rule, NotifAction):
            return rule
        return _POLICY_ACTIONS[ExceptionPolicy(rule)]
    return _POLICY_ACTIONS[ExceptionPolicy.KILL]


def decide(chain: tuple[_Link, ...], ctx: HandlerCtx, failures: Failures) -> NotifAction:
    """Return the first answer of the chain that is not Continue."""
    for handler, rules in chain:
        try:
            action = handler.handle(ctx)
            if not isinstance(action, NotifAction):
                raise TypeError(f"{type(handler).__name__}.handle returned {action!r}, which is no NotifAction")
        except BaseException as exception:  # the caller of run gets it, see Failures
            action = action_for(exception, rules)
            failures.append(HandlerFailure(handler, ctx.syscall_nr, ctx.pid, exception, action))
            _log.error(
                "%s failed on system call %d of process %d; answered with %r",
                type(handler).__name__,
                ctx.syscall_nr,
                ctx.pid,
                action,
                exc_info=exception,
            )
        if action is not _CONTINUE and action._kind:
            return action
    return _CONTINUE


_CONTINUE = NotifAction.continue_()
