"""The sandbox: a policy, and the ways to run a command under it."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import _request
from ._chain import HandlerSpec, chains_of, check_on_exception, check_timeout
from ._request import Command, StrPath
from ._run import Run, Supervision
from .actions import ExceptionPolicy, NotifAction
from .errors import ChildError, HandlerError, PolicyError
from .handler import HandlerCtx, OnException
from .protection import Protection
from .result import Result

__all__ = ["Sandbox"]

_numbers = itertools.count(1)
_MAX_NAME_BYTES = 64
_MAX_THREADS = 1024

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
    handler_timeout: float | None = None
    """Seconds that a handler without a limit of its own may take; then what ``on_exception`` says for an Exception
    answers, and what the handler returns later is discarded. None is for ever."""
    handler_threads: int = 8
    """How many calls may be with synchronous handlers at once; others wait. Threads are started as they are needed."""

    def __post_init__(self) -> None:
        if self.name is None:
            self.name = f"sandbox-{os.getpid()}-{next(_numbers)}"
        _check_name(self.name)
        check_on_exception("on_exception", self.on_exception)
        # References that do not keep the run: an interrupted one is over as soon as nobody has it any more.
        self._place: dict[str, weakref.ref[Run]] = {}

    def run(
        self,
        cmd: Command,
        timeout: float | None = None,
        *,
        input: bytes | None = None,
        check: bool = False,
        handlers: HandlerSpec = (),
        raise_handler_errors: bool = False,
    ) -> Result:
        """Run a command to its end and return the result, with its output captured.

        Args:
            cmd: the program and its arguments. A program without a slash is looked up on PATH.
            timeout: seconds after which the whole tree is killed; the result's reason is TIMEOUT then.
            input: what the command reads on stdin. Without it stdin is the host's, unless that is a terminal.
            check: raise ChildError unless the exit code is 0.
            handlers: ``(syscall, handler)`` or ``(syscall, handler, on_exception)``, in the order in which they are
                asked. ``syscall`` is a name or a number.
            raise_handler_errors: raise HandlerError when something went wrong in a handler.

        Raises:
            PolicyError: the policy, the command or a registration is wrong. Nothing was started.
            ConfinementError: the kernel cannot enforce the policy. Nothing was started.
            ChildError: with ``check=True``.
            HandlerError: with ``raise_handler_errors=True``.
        """
        request, supervision = self._captured(cmd, timeout, input), self._supervision(handlers)
        run = self._new_run(supervision)
        try:
            run.start(request, None)
            result = run.finish()
        finally:
            run.close()
        return _checked(cmd, result, check, raise_handler_errors)

    async def arun(
        self,
        cmd: Command,
        timeout: float | None = None,
        *,
        input: bytes | None = None,
        check: bool = False,
        handlers: HandlerSpec = (),
        raise_handler_errors: bool = False,
    ) -> Result:
        """Do as :meth:`run` without blocking the event loop, which also awaits asynchronous handlers.

        Cancelling it kills the tree.
        """
        request, supervision = self._captured(cmd, timeout, input), self._supervision(handlers)
        import asyncio  # here, because it is half of the package's import time

        run = self._new_run(supervision)
        try:
            run.start(request, asyncio.get_running_loop())
            result = await run.afinish()
        finally:
            run.close()
        return _checked(cmd, result, check, raise_handler_errors)

    def run_with_handlers(self, cmd: Command, handlers: HandlerSpec, name: str | None = None) -> Result:
        """Run a command with handlers; the same as ``run(cmd, handlers=handlers)`` under another name."""
        if name is not None:
            _check_name(name)
        return self.run(cmd, handlers=handlers)

    @property
    def is_running(self) -> bool:
        """Whether a command runs."""
        return self._run is not None

    @property
    def pid(self) -> int | None:
        """The process ID of the command that runs, or None."""
        run = self._run
        return None if run is None else run.pid or None

    @property
    def held(self) -> list[HandlerCtx]:
        """The calls that a handler holds."""
        run = self._run
        return [] if run is None else run.held()

    def answer(self, call: HandlerCtx | int, action: NotifAction) -> bool:
        """Answer a call that a handler holds, given by its context or its id.

        Returns:
            False when the call is over, because its child was killed or interrupted, or was answered before.
        """
        if not isinstance(action, NotifAction):
            raise TypeError(f"action must be a NotifAction, not {action!r}")
        run = self._run
        return run is not None and run.answer(call if isinstance(call, int) else call.id, action)

    def kill(self) -> None:
        """Kill the command that runs, and its whole tree."""
        self._running("kill").kill()

    def _running(self, verb: str) -> Run:
        run = self._run
        if run is None:
            raise RuntimeError(f"cannot {verb} sandbox {self.name!r}: nothing runs in it")
        return run

    def _new_run(self, supervision: Supervision) -> Run:
        """Return the only run of this instance, not started yet."""
        run = Run(supervision)
        if not run.claim(self._place):
            run.close()
            raise RuntimeError(f"sandbox {self.name!r} is running a command already; use another instance")
        return run

    @property
    def _run(self) -> Run | None:
        """The run that is under way."""
        for run in list(self._place.values()):
            return run()
        return None

    def _supervision(self, handlers: HandlerSpec) -> Supervision:
        check_on_exception("on_exception", self.on_exception)
        timeout = check_timeout("handler_timeout", self.handler_timeout)
        threads = self.handler_threads
        if isinstance(threads, bool) or not isinstance(threads, int):
            raise TypeError(f"handler_threads must be an int, not {type(threads).__name__}")
        if not 1 <= threads <= _MAX_THREADS:
            raise ValueError(f"handler_threads must be from 1 to {_MAX_THREADS}, not {threads}")
        return Supervision(chains_of(handlers, self.on_exception, timeout), threads)

    def _captured(self, cmd: Command, timeout: object, input: object) -> dict[str, Any]:
        request = self._request(cmd)
        request["timeout"] = check_timeout("timeout", timeout)
        request["stdout"] = request["stderr"] = _PIPE
        if input is None:
            # A captured run never touches the terminal.
            request["stdin"] = _NULL if os.isatty(0) else 0
        elif isinstance(input, (bytes, bytearray, memoryview)):
            request["stdin"], request["input"] = _PIPE, bytes(input).decode("latin-1")
        else:
            raise TypeError(f"input must be bytes, not {type(input).__name__}")
        return request

    def _request(self, cmd: Command) -> dict[str, Any]:
        policy: dict[str, Any] = {}
        for name in ("fs_readable", "fs_writable", "fs_denied"):
            policy[name] = _request.texts(name, getattr(self, name))
        for name in ("extra_deny_syscalls", "extra_allow_syscalls"):
            policy[name] = _request.texts(name, getattr(self, name))
        for name in ("allow_degraded", "disable"):
            policy[name] = _protections(name, getattr(self, name))
        policy["env"] = _request.mapping("env", self.env)
        for name in ("clean_env", "no_coredump"):
            policy[name] = getattr(self, name)
            if not isinstance(policy[name], bool):
                raise PolicyError(f"{name}: {policy[name]!r} is no bool; write True or False")
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


def _checked(cmd: Command, result: Result, check: bool, raise_handler_errors: bool) -> Result:
    if raise_handler_errors and result.handler_errors:
        raise HandlerError(result)
    if check and not result.success:
        raise ChildError([os.fsdecode(arg) for arg in cmd], result)
    return result


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
