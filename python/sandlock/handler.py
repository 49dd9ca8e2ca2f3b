"""Handlers: decisions about system calls, in Python."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Mapping
from typing import Union

from ._frame import ChildMemory
from ._syscalls import path_argument
from .actions import ExceptionPolicy, NotifAction

__all__ = ["ExceptionPolicy", "Handler", "HandlerCtx", "NotifAction", "OnException"]

OnException = Union[NotifAction, ExceptionPolicy, Mapping[type, Union[NotifAction, ExceptionPolicy]]]
"""What answers a call when its handler raised: an answer, a policy, or either by the type of the exception."""


class HandlerCtx:
    """One trapped system call, and the memory of the task that made it.

    The fields are a snapshot. The memory is the child's own, and changes under the reader: a path that was read and
    judged may be another one when the kernel looks. It is reachable until the handler has returned; later reads give
    None, later writes False.
    """

    __slots__ = ("_memory", "_snapshot")

    _memory: ChildMemory
    _snapshot: tuple[int, ...]

    def __init__(self, memory: ChildMemory, snapshot: tuple[int, ...]) -> None:
        self._memory = memory
        self._snapshot = snapshot

    @property
    def id(self) -> int:
        """The kernel's number for this notification, 64 bits. An interrupted call comes again under another one."""
        return self._snapshot[0]

    @property
    def pid(self) -> int:
        """The thread that made the call."""
        return self._snapshot[1]

    @property
    def flags(self) -> int:
        """Flags of the notification; the kernel defines none yet."""
        return self._snapshot[2]

    @property
    def syscall_nr(self) -> int:
        """The number of the system call."""
        return self._snapshot[3]

    @property
    def arch(self) -> int:
        """The AUDIT_ARCH value of the call, see seccomp(2)."""
        return self._snapshot[4]

    @property
    def instruction_pointer(self) -> int:
        """Where in the program the call was made."""
        return self._snapshot[5]

    @property
    def args(self) -> tuple[int, ...]:
        """The six argument registers, each 64 bits without a sign."""
        return self._snapshot[6:12]

    def read(self, addr: int, length: int) -> bytes | None:
        """Read ``length`` bytes of the task's memory; None when not all of them can be read."""
        return self._memory.read(self._snapshot[0], addr, length)

    def read_cstr(self, addr: int, max_len: int) -> str | None:
        """Read a string that ends with NUL; None when it cannot be read or has more than ``max_len`` bytes.

        Bytes that are not UTF-8 come as surrogates, as from :func:`os.fsdecode`.
        """
        data = self._memory.read_string(self._snapshot[0], addr, max_len)
        return None if data is None else os.fsdecode(data)

    def write(self, addr: int, data: bytes) -> bool:
        """Write to the task's memory, where the task itself may; False when that fails."""
        return self._memory.write(self._snapshot[0], addr, data)

    def read_path(self, arg: int | None = None, max_len: int = 4096) -> str | None:
        """Read the path that argument ``arg`` points to; without it, the one that the system call is known to take.

        Raises:
            ValueError: ``arg`` is not 0 to 5, or is missing for a call that takes two paths or none that is known.
        """
        if arg is None:
            arg = path_argument(self._snapshot[3])
        elif not 0 <= arg <= 5:
            raise ValueError(f"arg must be from 0 to 5, not {arg}")
        return self.read_cstr(self._snapshot[6 + arg], max_len)

    def __repr__(self) -> str:
        args = ", ".join(f"{arg:#x}" for arg in self.args)
        return f"<HandlerCtx syscall={self.syscall_nr} pid={self.pid} args=({args})>"


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

    def handle(self, ctx: HandlerCtx) -> NotifAction | Awaitable[NotifAction]:
        """Answer one call."""
        raise NotImplementedError(f"{type(self).__name__} does not define handle(self, ctx)")

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        """Learn what was decided, just before it is answered. Only called for handlers that observe."""
