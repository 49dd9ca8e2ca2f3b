"""Registrations, and the chains of handlers that they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Union

from ._rules import action_for
from ._syscalls import number_of
from ._variants import warn_of_variants
from .actions import ExceptionPolicy, NotifAction, is_constant
from .exceptions import PolicyError
from .handler import Handler, OnException

__all__ = ["Chain", "HandlerSpec", "Link", "chains_of", "check_handler_timeout", "check_on_exception", "check_timeout"]

_CONTINUE = NotifAction.continue_()

HandlerSpec = Iterable[Union["tuple[str | int, Handler]", "tuple[str | int, Handler, OnException]"]]


class Link(NamedTuple):
    """A handler's place in a chain, with the exception rules that apply there, the most specific first."""

    handler: Handler
    rules: tuple[OnException, ...]
    timeout: float | None
    is_async: bool


class Chain:
    """Who is asked about one system call, in this order: first the observers, then the deciders."""

    __slots__ = ("constants", "deciders", "is_async", "is_timed", "links", "observers", "optional", "sole")

    def __init__(
        self, observers: tuple[Link, ...] = (), deciders: tuple[Link, ...] = (), *, optional: bool = False
    ) -> None:
        self.optional = optional
        """Whether nobody is asked, and nothing is wrong, where the policy denies the call."""
        self.observers = observers
        self.deciders = deciders
        # Read at every call: derived once.
        self.links = observers + deciders
        self.is_async = any(link.is_async for link in self.links)
        self.is_timed = any(link.timeout is not None for link in self.links)
        simple = len(self.links) == 1 and deciders and not self.is_async and not self.is_timed
        self.sole = deciders[0] if simple else None
        """The only one to ask, if it is that simple."""
        self.constants = tuple(_constant(self.links[stage:]) for stage in range(len(self.links)))
        """The answer where Python cannot give one, by whom is being asked then."""


def _constant(links: tuple[Link, ...]) -> NotifAction:
    """Return the first of the constant actions that is not Continue: who was not asked has not consented."""
    answers = (action_for(Exception, link.rules) for link in links)
    return next((answer for answer in answers if answer != _CONTINUE), _CONTINUE)


def chains_of(handlers: HandlerSpec, on_exception: OnException, timeout: float | None) -> dict[int, Chain]:
    """Return the chains by system call number.

    Raises:
        TypeError: a registration is no ``(syscall, handler)`` or ``(syscall, handler, on_exception)``.
        ValueError: unknown name or negative number of a system call.
    """
    if isinstance(handlers, (str, bytes, Mapping)) or not isinstance(handlers, Iterable):
        raise TypeError(f"handlers must be a sequence of (syscall, handler), not {handlers!r}")
    chains: dict[int, Chain] = {}
    asked: dict[str, list[int]] = {}
    for position, registration in enumerate(handlers):
        where = f"handlers[{position}]"
        if not isinstance(registration, tuple) or len(registration) not in (2, 3):
            raise TypeError(
                f"{where} must be (syscall, handler) or (syscall, handler, on_exception), not {registration!r}"
            )
        number = _number(where, registration[0])
        link = _link(where, registration[1], registration[2:], on_exception, timeout)
        chain = chains.get(number, Chain(optional=True))
        optional = chain.optional and link.handler._optional
        if link.handler.observe:
            chains[number] = Chain((*chain.observers, link), chain.deciders, optional=optional)
        else:
            chains[number] = Chain(chain.observers, (*chain.deciders, link), optional=optional)
        if link.handler._every_variant:
            asked.setdefault(type(link.handler).__name__, []).append(number)
    for name, numbers in asked.items():
        warn_of_variants(name, numbers)
    return chains


def _number(where: str, syscall: str | int) -> int:
    try:
        return number_of(syscall)
    except (TypeError, PolicyError) as error:
        raise type(error)(f"{where}: {error}") from None


def _link(
    where: str, handler: Handler, override: tuple[Any, ...], on_exception: OnException, timeout: float | None
) -> Link:
    _check_handler(where, handler)
    rules: tuple[OnException, ...] = (on_exception,)
    name = type(handler).__name__
    if _overrides(handler, "on_exception"):
        check_on_exception(f"{where}: on_exception of {name}", handler.on_exception)
        rules = (handler.on_exception, *rules)
    if override:
        check_on_exception(f"{where}: on_exception", override[0])
        rules = (override[0], *rules)
    if _overrides(handler, "handler_timeout"):
        timeout = check_handler_timeout(f"{where}: handler_timeout of {name}", handler.handler_timeout)
    return Link(handler, rules, timeout, _is_async(handler.handle))


def _is_async(handle: Callable[..., object]) -> bool:
    while isinstance(handle, functools.partial):  # of a method: Python 3.9 does not look through that itself
        handle = handle.func
    return inspect.iscoroutinefunction(handle)


def _check_handler(where: str, handler: object) -> None:
    if isinstance(handler, type):
        raise TypeError(f"{where}: {handler.__name__} is a class; register an instance, {handler.__name__}()")
    if not isinstance(handler, Handler):
        raise TypeError(f"{where}: {handler!r} is no Handler; subclass sandlock.Handler")
    name = type(handler).__name__
    if type(handler).handle is Handler.handle and "handle" not in vars(handler):
        raise TypeError(f"{where}: {name} does not define handle(self, ctx)")
    if not callable(handler.handle):
        raise TypeError(f"{where}: handle of {name} must be a method handle(self, ctx), not {handler.handle!r}")
    try:
        inspect.signature(handler.handle).bind(None)
    except TypeError:
        raise TypeError(
            f"{where}: {name}.handle{inspect.signature(handler.handle)} cannot be called with one argument, ctx"
        ) from None
    if not isinstance(handler.observe, bool):
        raise TypeError(f"{where}: observe of {name} must be a bool, not {handler.observe!r}")


def _overrides(handler: Handler, attribute: str) -> bool:
    """Say whether the handler or one of its classes below Handler sets an attribute."""
    if attribute in vars(handler):
        return True
    below = type(handler).__mro__[: type(handler).__mro__.index(Handler)]
    return any(attribute in vars(base) for base in below)


def check_on_exception(name: str, rule: object) -> None:
    """Raise TypeError unless ``rule`` can say what answers for an exception."""
    if isinstance(rule, Mapping):
        for kind, answer in rule.items():
            if not (isinstance(kind, type) and issubclass(kind, BaseException)):
                raise TypeError(f"{name}: {kind!r} is no exception type")
            _check_answer(f"{name}[{kind.__name__}]", answer)
        return
    _check_answer(name, rule)


def _check_answer(name: str, answer: object) -> None:
    if not isinstance(answer, (NotifAction, ExceptionPolicy)):
        raise TypeError(f"{name}: {answer!r} is neither a NotifAction nor an ExceptionPolicy")
    if isinstance(answer, NotifAction) and not is_constant(answer):
        raise TypeError(f"{name}: {answer!r} cannot answer more than one call")


def check_timeout(name: str, timeout: object) -> float | None:
    """Return a time limit in seconds, or None for none."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {timeout!r}")
    if not 0 <= timeout < float("inf"):
        raise ValueError(f"{name} must be a finite number of seconds from 0, not {timeout}")
    return float(timeout)


def check_handler_timeout(name: str, timeout: object) -> float | None:
    """Return the time limit of a handler in seconds, or None for none."""
    limit = check_timeout(name, timeout)
    if limit == 0:
        raise ValueError(f"{name} must be more than 0 seconds; None is for ever")
    return limit
