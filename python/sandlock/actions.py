"""The answers that a handler can give."""

from __future__ import annotations

import os
import signal as _signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Union

from ._descriptors import BytesSource, DescriptorSource, Source
from .stdio import HasFileno

__all__ = ["ExceptionPolicy", "NotifAction"]

# The kinds of answers, as bindings/core/answer.go knows them.
CONTINUE, ERRNO, RETURN, KILL_GROUP, KILL_PROCESS, PLACE_FD, SEND_FD, HOLD = range(8)

# include/linux/err.h: what the kernel itself takes for an errno.
_MAX_ERRNO = 4095
_MAX_INT = 2**31 - 1


FileDescriptor = Union[int, HasFileno]


@dataclass(frozen=True)
class NotifAction:
    """An answer to a trapped system call: make one with the class methods.

    The first answer of a chain that is not :meth:`continue_` wins.

    An answer with a file descriptor owns it from the moment that the handler has returned it: sandlock closes it, once,
    whatever becomes of the call. Such an answer can be given only once.
    """

    _kind: int
    _operand: int = 0
    _value: int = 0
    _source: Source | None = None
    _on_success: Callable[[int], object] | None = None

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
        return cls(ERRNO, value)

    @classmethod
    def returns(cls, value: int) -> NotifAction:
        """Return a value, 64 bits with a sign, without performing the call.

        libc takes -4095 to -1 for an errno.
        """
        _check_int("returns: value", value, -(2**63), 2**63 - 1)
        return cls(RETURN, 0, value)

    @classmethod
    def hold(cls) -> NotifAction:
        """Leave the caller waiting until ``Sandbox.answer`` answers, or until the run ends."""
        return _HOLD_ACTION

    @classmethod
    def kill(cls, sig: int = _signal.SIGKILL, pgid: int = 0, *, pid: int | None = None) -> NotifAction:
        """Send a signal to a process group of the sandbox, or with ``pid`` to one process of it.

        ``pgid=0`` is the group of the calling process, ``pid=0`` the calling process. Should the caller survive the
        signal, its call fails with EPERM. What is not the sandbox's is not signalled, which counts as an error of the
        handler.
        """
        _check_int("kill: sig", sig, 1, _signal.NSIG - 1)
        _check_int("kill: pgid", pgid, 0, _MAX_INT)
        if pid is None:
            return cls(KILL_GROUP, int(sig), pgid)
        _check_int("kill: pid", pid, 0, _MAX_INT)
        if pgid:
            raise ValueError("kill: give pgid or pid, not both")
        return cls(KILL_PROCESS, int(sig), pid)

    @classmethod
    def inject_fd(cls, srcfd: FileDescriptor, targetfd: int) -> NotifAction:
        """Open a copy of ``srcfd`` in the caller as ``targetfd``, then let the kernel go on with the call.

        What the caller had open under that number is closed (SECCOMP_IOCTL_NOTIF_ADDFD, Linux 5.9).
        """
        _check_int("inject_fd: targetfd", targetfd, 0, _MAX_INT)
        return cls(PLACE_FD, targetfd, 0, DescriptorSource("inject_fd: srcfd", srcfd))

    @classmethod
    def inject_fd_send(cls, srcfd: FileDescriptor, newfd_flags: int = 0) -> NotifAction:
        """Return a copy of ``srcfd`` from the call, under the caller's lowest free number (Linux 5.14).

        ``newfd_flags`` is 0 or ``os.O_CLOEXEC``. When the copy cannot be made the call fails: with EMFILE when the
        caller has no number free.
        """
        _check_fd_flags("inject_fd_send: newfd_flags", newfd_flags)
        return cls(SEND_FD, newfd_flags, 0, DescriptorSource("inject_fd_send: srcfd", srcfd))

    @classmethod
    def inject_fd_send_tracked(
        cls, srcfd: FileDescriptor, newfd_flags: int = 0, *, on_success: Callable[[int], object]
    ) -> NotifAction:
        """Do as :meth:`inject_fd_send`, then call ``on_success`` with the number that the caller got.

        It is called once, and never when the copy could not be made.
        """
        _check_fd_flags("inject_fd_send_tracked: newfd_flags", newfd_flags)
        if not callable(on_success):
            raise TypeError(f"inject_fd_send_tracked: on_success must be callable, not {on_success!r}")
        source = DescriptorSource("inject_fd_send_tracked: srcfd", srcfd)
        return cls(SEND_FD, newfd_flags, 0, source, on_success)

    @classmethod
    def inject_bytes(cls, data: bytes, *, seal: bool = True, cloexec: bool = True) -> NotifAction:
        """Return a descriptor of a file in memory that holds ``data``, at its start.

        ``seal`` makes it unchangeable (memfd_create(2)); ``cloexec`` closes it in the caller at execve.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"inject_bytes: data must be bytes, not {type(data).__name__}")
        _check_bool("inject_bytes: seal", seal)
        _check_bool("inject_bytes: cloexec", cloexec)
        return cls(SEND_FD, os.O_CLOEXEC if cloexec else 0, 0, BytesSource(bytes(data), seal))

    def __repr__(self) -> str:
        arguments = {
            CONTINUE: "continue_()",
            ERRNO: f"errno({self._operand})",
            RETURN: f"returns({self._value})",
            KILL_GROUP: f"kill({self._operand}, pgid={self._value})",
            KILL_PROCESS: f"kill({self._operand}, pid={self._value})",
            PLACE_FD: f"inject_fd({self._source}, {self._operand})",
            SEND_FD: f"inject_fd_send({self._source}, {self._operand})",
            HOLD: "hold()",
        }
        return f"NotifAction.{arguments[self._kind]}"


_CONTINUE_ACTION = NotifAction(CONTINUE)
_HOLD_ACTION = NotifAction(HOLD)


def is_constant(action: NotifAction) -> bool:
    """Say whether an action can answer any number of calls, without Python."""
    return action._source is None and action._kind != HOLD


def _check_int(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not least <= value <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {value}")


def _check_bool(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")


def _check_fd_flags(name: str, value: object) -> None:
    _check_int(name, value, 0, _MAX_INT)
    if value not in (0, os.O_CLOEXEC):
        raise ValueError(f"{name} must be 0 or os.O_CLOEXEC, not {value}")


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
