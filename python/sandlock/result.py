"""What is left of a command."""

from __future__ import annotations

import signal as _signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from ._shown import Shown
from .protection import Protection

if TYPE_CHECKING:
    from .actions import NotifAction
    from .handler import Handler

__all__ = ["ExitReason", "HandlerFailure", "HandlerFailures", "HeldCall", "Result"]


class ExitReason(IntEnum):
    """How a command came to its end."""

    EXITED = 0
    """It exited; ``exit_code`` has its status."""
    SIGNALED = 1
    """It died of a signal; ``signal`` has the number."""
    KILLED = 2
    """sandlock killed it, on request or as the answer of a handler."""
    TIMEOUT = 3
    """sandlock killed it when its time was over."""


@dataclass(frozen=True)
class HandlerFailure(Shown):
    """An exception that a handler raised, or a return value that was no :class:`NotifAction`."""

    handler: Handler
    syscall: int
    pid: int
    exception: BaseException
    action: NotifAction
    """What was answered instead."""


class HandlerFailures(Shown, list[HandlerFailure]):
    """A list that a notebook shows as a table."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Come before what IPython has for lists."""
        printer.text(self._repr_mimebundle_()["text/plain"])


class HeldCall(NamedTuple):
    """A call that a handler held."""

    id: int
    """The kernel's number of the notification."""
    pid: int
    syscall: int
    args: tuple[int, ...]
    """The six argument registers."""


@dataclass(frozen=True)
class Result(Shown):
    """What is left of a command. ``success`` means exit code 0."""

    success: bool
    exit_code: int = 0
    """The exit status; -1 when the command did not exit by itself, 127 when it could not be executed."""
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    error: str | None = None
    """Why the command could not be executed, or None."""
    reason: ExitReason | None = None
    signal: int = -1
    """The signal that ended the command, or -1."""
    changes: list[Any] = field(default_factory=list)
    """Always empty: for scripts that look at it. sandlock makes no branches of the file system."""
    handler_errors: list[HandlerFailure] = field(default_factory=HandlerFailures, repr=False)
    """What went wrong in handlers, in order; the first 10,000."""
    more_handler_errors: int = field(default=0, repr=False)
    """How many went wrong after those."""
    held: list[HeldCall] = field(default_factory=list, repr=False)
    """The calls that a handler held, and that nobody has answered."""
    limits: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What has enforced each limit that the sandbox sets, by the name of its field: ``"rlimit"``, ``"affinity"``,
    ``"cgroup"`` or ``"supervisor"``; see docs/limits.md."""
    exceeded: str | None = None
    """The limit, by the name of its field, that the tree was killed for; with another reason than KILLED, one that it
    turned out to have exceeded in its last moments. None: none."""
    degraded: list[Protection] = field(default_factory=list)
    """Protections that the kernel lacks, and that the policy's ``allow_degraded`` does without."""

    def _ending(self) -> str:
        """Finish a sentence that begins with the command."""
        if self.error is not None:
            return f"was not executed: {self.error}"
        if self.reason == ExitReason.TIMEOUT:
            return "was killed when its time was over"
        if self.reason == ExitReason.KILLED:
            return "was killed by sandlock" + ("" if self.exceeded is None else f": it used more than {self.exceeded}")
        if self.reason == ExitReason.SIGNALED:
            return f"died of {_signal_name(self.signal)}"
        return f"exited with status {self.exit_code}"


def _signal_name(number: int) -> str:
    try:
        return _signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
