"""Handlers: decisions about system calls, in Python."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Union

from .actions import ExceptionPolicy, NotifAction
from .context import HandlerCtx, ResolvedPath

__all__ = ["ExceptionPolicy", "Handler", "HandlerCtx", "NotifAction", "OnException", "ResolvedPath"]

OnException = Union[NotifAction, ExceptionPolicy, Mapping[type, Union[NotifAction, ExceptionPolicy]]]
"""What answers a call when its handler raised: an answer, a policy, or either by the type of the exception."""


class Handler:
    """Decides about the system calls that it is registered for. Subclass it and define :meth:`handle`.

    It may be called from several threads at once. With ``async def handle`` it is called in an event loop: the one of
    the caller for ``await sandbox.arun(...)``, else one that the run has for itself.
    """

    on_exception: OnException = ExceptionPolicy.KILL
    """What answers when :meth:`handle` raises. A subclass or an instance that sets it overrides the sandbox's
    ``on_exception``."""

    handler_timeout: float | None = None
    """Seconds that :meth:`handle` may take before what ``on_exception`` says for an Exception answers. A subclass or
    an instance that sets it overrides the sandbox's ``handler_timeout``."""

    observe: bool = False
    """See every call before those who decide, and what they decided after them, and decide nothing."""

    _optional: bool = False
    """Be asked about nothing, and have nothing be wrong, where the policy denies the call."""

    _every_variant: bool = False
    """Decide about nothing, unless it is asked about every variant of a call, such as open, openat and openat2."""

    def handle(self, ctx: HandlerCtx) -> NotifAction | Awaitable[NotifAction]:
        """Answer one call."""
        raise NotImplementedError(f"{type(self).__name__} does not define handle(self, ctx)")

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        """Learn what was decided, just before it is answered. Only called for handlers that observe."""
