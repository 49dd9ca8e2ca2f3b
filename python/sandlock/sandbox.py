"""The sandbox: a policy, and the ways to run a command under it."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _request
from ._decision import HandlerSpec, check_on_exception, resolve_registrations
from ._request import Command, StrPath
from ._run import Run
from .errors import ChildError, PolicyError
from .handler import ExceptionPolicy, OnException
from .protection import Protection
from .result import Result

__all__ = ["Sandbox"]

_numbers = itertools.count(1)
_MAX_NAME_BYTES = 64

_PIPE, _NULL = -1, -2  # as bindings/core/request.go knows them


@dataclass
class Sandbox:
    """What a command may do. Nothing that is not granted is allowed: an empty policy cannot even execute a program.

    The fields are read afresh at each run. Relative paths are those of the working directory at that moment.
    """

    fs_readable: Sequence[StrPath] = field(default_factory=list)
    """Files and folders that may be read and executed, with all that is beneath."""
    fs_writable: Sequence[StrPath] = field(default_factory=list)
    """Files and folders that may be read, executed and changed, with all that is beneath."""
    fs_denied: Sequence[StrPath] = field(default_factory=list)
    """What stays out of reach although a listed folder contains it; wins over the other lists."""

    extra_deny_syscalls: Sequence[str] = field(default_factory=list)
    """Names or groups of system calls that are denied on top of the default deny list."""
    extra_allow_syscalls: Sequence[str] = field(default_factory=list)
    """Groups that are taken off the default deny list; only ``sysv_ipc`` can be."""

    max_open_files: int | None = None
    """Open files of each process: RLIMIT_NOFILE, soft and hard, see setrlimit(2). None leaves the host's limit."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that are added to the environment, or override it."""
    clean_env: bool = False
    """Start from PATH, HOME, USER, TERM and LANG of the host only."""
    cwd: StrPath | None = None
    """The working directory; None is the host's."""
    no_coredump: bool = False
    """Accepted for scripts that set it. No sandbox dumps core, whatever the value."""

    allow_degraded: Sequence[Protection] = field(default_factory=list)
    """Protections that this kernel may lack."""
    disable: Sequence[Protection] = field(default_factory=list)
    """Protections that are never enforced."""

    name: str | None = None
    """At most 64 bytes; by default ``sandbox-{pid}-{n}``."""
    on_exception: OnException = ExceptionPolicy.KILL
    """What answers a call when a handler that has no rule of its own raised an exception."""

    def __post_init__(self) -> None:
        if self.name is None:
            self.name = f"sandbox-{os.getpid()}-{next(_numbers)}"
        _check_name(self.name)
        check_on_exception("on_exception", self.on_exception)
        self._running = threading.Lock()

    def run(
        self,
        cmd: Command,
        timeout: float | None = None,
        *,
        input: bytes | None = None,
        check: bool = False,
        handlers: HandlerSpec = (),
    ) -> Result:
        """Run a command to its end and return the result, with its output captured.

        Args:
            cmd: the program and its arguments. A program without a slash is looked up on PATH.
            timeout: seconds after which the whole tree is killed; the result's reason is TIMEOUT then.
            input: what the command reads on stdin. Without it stdin is the host's, unless that is a terminal.
            check: raise ChildError unless the exit code is 0.
            handlers: ``(syscall, handler)`` or ``(syscall, handler, on_exception)``, in the order in which they are
                asked. ``syscall`` is a name or a number.

        Raises:
            PolicyError: the policy, the command or a registration is wrong. Nothing was started.
            ConfinementError: the kernel cannot enforce the policy. Nothing was started.
            ChildError: with ``check=True``.
        """
        request = self._request(cmd)
        request["timeout"] = _checked_timeout(timeout)
        request["stdout"] = request["stderr"] = _PIPE
        if input is not None:
            if not isinstance(input, (bytes, bytearray, memoryview)):
                raise TypeError(f"input must be bytes, not {type(input).__name__}")
            request["stdin"], request["input"] = _PIPE, bytes(input).decode("latin-1")
        else:
            request["stdin"] = _NULL if os.isatty(0) else 0
        chains = resolve_registrations(handlers, self.on_exception)
        if not self._running.acquire(blocking=False):
            raise RuntimeError(f"sandbox {self.name!r} is running a command already; use another instance")
        try:
            result = Run(request, chains).finish()
        finally:
            self._running.release()
        if check and not result.success:
            raise ChildError([os.fsdecode(arg) for arg in cmd], result)
        return result

    def run_with_handlers(self, cmd: Command, handlers: HandlerSpec, name: str | None = None) -> Result:
        """Run a command with handlers; the same as ``run(cmd, handlers=handlers)`` under another name."""
        if name is not None:
            _check_name(name)
        return self.run(cmd, handlers=handlers)

    def _request(self, cmd: Command) -> dict[str, Any]:
        policy: dict[str, Any] = {}
        for name in ("fs_readable", "fs_writable", "fs_denied"):
            policy[name] = _request.texts(name, getattr(self, name))
        for name in ("extra_deny_syscalls", "extra_allow_syscalls"):
            policy[name] = _request.texts(name, getattr(self, name))
        for name in ("allow_degraded", "disable"):
            policy[name] = _protections(name, getattr(self, name))
        policy["env"] = _request.mapping("env", self.env)
        policy["clean_env"] = bool(self.clean_env)
        policy["no_coredump"] = bool(self.no_coredump)
        if self.cwd is not None:
            policy["cwd"] = _request.text("cwd", self.cwd)
            if not policy["cwd"]:
                raise PolicyError("cwd: the path is empty; use None for the host's working directory")
        if self.max_open_files is not None:
            policy["max_open_files"] = self.max_open_files
        return {
            "policy": policy,
            "args": _request.command_arguments(cmd),
            "environ": _request.environment(),
        }


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"name {name!r} must not be empty, '.' or '..', nor hold '/' or NUL")
    size = len(os.fsencode(name))
    if size > _MAX_NAME_BYTES:
        raise ValueError(f"name {name!r} has {size} bytes; {_MAX_NAME_BYTES} are allowed")


def _checked_timeout(timeout: object) -> float | None:
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be a number of seconds, not {type(timeout).__name__}")
    if not 0 <= timeout < float("inf"):
        raise ValueError(f"timeout must be a finite number of seconds from 0, not {timeout}")
    return float(timeout)


def _protections(name: str, values: object) -> list[int]:
    if isinstance(values, (str, bytes, int)) or not isinstance(values, Sequence):
        raise PolicyError(f"{name}: {values!r} is no list of Protection values")
    numbers = []
    for i, value in enumerate(values):
        try:
            numbers.append(int(Protection(value)))
        except ValueError:
            known = ", ".join(p.name for p in Protection)
            raise PolicyError(f"{name}[{i}]: {value!r} is no Protection; there are {known}") from None
    return numbers
