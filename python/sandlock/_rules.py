"""What answers a call when its handler raised an exception."""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterable, Mapping

from .actions import ExceptionPolicy, NotifAction
from .handler import OnException

__all__ = ["action_for"]

_POLICY_ACTIONS = {
    ExceptionPolicy.KILL: NotifAction.kill(signal.SIGKILL),
    ExceptionPolicy.DENY_EPERM: NotifAction.errno(errno.EPERM),
    ExceptionPolicy.CONTINUE: NotifAction.continue_(),
    ExceptionPolicy.DENY_EIO: NotifAction.errno(errno.EIO),
}


def action_for(exception: type[BaseException], rules: Iterable[OnException]) -> NotifAction:
    """Return the answer for a type of exception: the nearest class that a rule names, else the next rule, else KILL."""
    for rule in rules:
        if isinstance(rule, Mapping):
            named = next((kind for kind in exception.__mro__ if kind in rule), None)
            if named is None:
                continue
            rule = rule[named]
        if isinstance(rule, NotifAction):
            return rule
        return _POLICY_ACTIONS[ExceptionPolicy(rule)]
    return _POLICY_ACTIONS[ExceptionPolicy.KILL]
