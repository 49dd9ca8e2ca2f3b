"""The exceptions of the package.

Every error that sandlock itself raises is a :class:`SandlockError`, which is a RuntimeError. Wrong arguments that any
function would refuse are the built-in ``TypeError`` and ``ValueError``, and a wait that is over is what ``subprocess``
and ``asyncio`` raise then.
"""

from __future__ import annotations

import builtins
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .result import Result

__all__ = [
    "BranchConflictError",
    "BranchError",
    "ChildError",
    "ConfinementError",
    "ForkError",
    "HandlerError",
    "LandlockUnavailableError",
    "MemoryProtectError",
    "NotifError",
    "PolicyError",
    "SandboxError",
    "SandlockError",
    "SeccompError",
]


class SandlockError(RuntimeError):
    """Base of all errors of the package."""


class PolicyError(SandlockError, ValueError):
    """The policy, the command or a registration is wrong. Nothing was started."""


class MemoryProtectError(SandlockError):
    """A protection of memory could not be set up."""


class SandboxError(SandlockError):
    """Starting or supervising a sandbox failed."""


class ForkError(SandboxError):
    """A process could not be made, or the host was forked after its first use of sandlock."""


class ConfinementError(SandboxError):
    """The kernel could not confine the command as the policy demands."""


class LandlockUnavailableError(ConfinementError):
    """The kernel has no Landlock, or it is switched off."""


class SeccompError(ConfinementError):
    """The seccomp filter could not be installed."""


class NotifError(SeccompError):
    """A seccomp notification could not be received or answered."""


class ChildError(SandboxError):
    """The command failed, and ``check=True`` asked for an exception.

    ``cmd`` is the command, ``result`` what is left of it.
    """

    def __init__(self, cmd: list[str], result: Result) -> None:
        self.cmd = cmd
        self.result = result
        super().__init__(f"command {cmd!r} {result._ending()}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.cmd, self.result)


class HandlerError(SandboxError):
    """Something went wrong in handlers, and ``raise_handler_errors=True`` asked for an exception.

    ``result`` is what is left of the command, with ``handler_errors``. The cause is the handler's exception; of several
    it is an exception group where Python has them (3.11), else the first one.
    """

    def __init__(self, result: Result) -> None:
        self.result = result
        failures = result.handler_errors
        lines = [
            f"{type(f.handler).__name__} on system call {f.syscall} of process {f.pid}: {f.exception!r}; "
            f"answered with {f.action!r}"
            for f in failures
        ]
        super().__init__(f"{len(failures)} handler error{'s' if len(failures) > 1 else ''}: {lines[0]}")
        exceptions = [failure.exception for failure in failures]
        group = getattr(builtins, "BaseExceptionGroup", None)
        self.__cause__ = group("errors in handlers", exceptions) if group and len(exceptions) > 1 else exceptions[0]
        if sys.version_info >= (3, 11):
            for line in lines:
                self.add_note(line)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result,)


class BranchError(SandboxError):
    """A branch of the file system could not be made or taken over."""


class BranchConflictError(BranchError):
    """Two branches changed the same file."""


class OverError(SandboxError):
    """The run is over. Not for users: what this means depends on what was asked of the run."""


_KINDS: dict[str, type[SandlockError]] = {
    "policy": PolicyError,
    "landlock": LandlockUnavailableError,
    "confinement": ConfinementError,
    "seccomp": SeccompError,
    "notification": NotifError,
    "over": OverError,
    "sandbox": SandboxError,
}


def from_core(error: RuntimeError) -> SandlockError:
    """Return the exception for an error of the extension, which knows no types: its text is JSON."""
    if isinstance(error, SandlockError):  # of who was about to call it
        return error
    try:
        fault = json.loads(str(error))
        return _KINDS[fault["kind"]](fault["message"])
    except (ValueError, KeyError, TypeError):
        return SandboxError(str(error))
