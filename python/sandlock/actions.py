"""The answers that a handler can give."""

from __future__ import annotations

import signal as _signal
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["ExceptionPolicy", "NotifAction"]

# The kinds of answers, as bindings/core/worker.go knows them.
_CONTINUE, _ERRNO, _RETURN, _KILL = range(4)

# include/linux/err.h: what the kernel itself takes for an errno.
_MAX_ERRNO = 4095


@dataclass(frozen=True)
class NotifAction:
    """An answer to a trapped system call: make one with the class methods.

    The first answer of a chain that is not :meth:`continue_` wins.
    """

    _kind: int
    _operand: int = 0
    _value: int = 0

    @classmethod
    def continue_(cls) -> NotifAction:
        """Leave the decision to the next handler; after the last one the kernel performs the call.

        Use it for audit. A decision about what a pointer argument points to does not hold: another thread of the
        child may rewrite that memory before the kernel reads it again (seccomp_unotify(2)).
        """
        return _CONTINUE_ACTION

    @classmethod
    def errno(cls, value: int) -> NotifAction:
        """Fail the call with an errno, 1 to 4095, for example ``errno.EPERM``."""
        _check_int("errno: value", value, 1, _MAX_ERRNO)
        return cls(_ERRNO, value)

    @classmethod
    def returns(cls, value: int) -> NotifAction:
        """Return a value, 64 bits with a sign, without performing the call.

        libc takes -4095 to -1 for an errno.
        """
        _check_int("returns: value", value, -(2**63), 2**63 - 1)
        return cls(_RETURN, 0, value)

    @classmethod
    def kill(cls, sig: int = _signal.SIGKILL, pgid: int = 0) -> NotifAction:
        """Send a signal to a process group of the sandbox; ``pgid=0`` is the group of the calling process.

        Should the caller survive the signal, its call fails with EPERM. Groups that are not the sandbox's are not
        signalled.
        """
        _check_int("kill: sig", sig, 1, _signal.NSIG - 1)
        _check_int("kill: pgid", pgid, 0, 2**31 - 1)
        return cls(_KILL, int(sig), pgid)

    def __repr__(self) -> str:
        if self._kind == _ERRNO:
            return f"NotifAction.errno({self._operand})"
        if self._kind == _RETURN:
            return f"NotifAction.returns({self._value})"
        if self._kind == _KILL:
            return f"NotifAction.kill({self._operand}, pgid={self._value})"
        return "NotifAction.continue_()"


_CONTINUE_ACTION = NotifAction(_CONTINUE)


def _check_int(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}")


class ExceptionPolicy(IntEnum):
    """What answers a call when its handler raised an exception."""

    KILL = 0
    """Kill the process group of the child with SIGKILL."""
    DENY_EPERM = 1
    """Fail the call with EPERM."""
    CONTINUE = 2
    """As if the handler had returned ``NotifAction.continue_()``: for observers only."""
    DENY_EIO = 3
    """Fail the call with EIO."""
