"""Handlers that watch, and decide nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .._syscalls import path_arguments
from ..actions import ExceptionPolicy, NotifAction
from ..context import HandlerCtx
from ..handler import Handler

__all__ = ["COMMON_PATH_SYSCALLS", "AuditPathsHandler", "LogSyscallsHandler", "arguments_of"]

COMMON_PATH_SYSCALLS = [
    "openat",
    "unlinkat",
    "newfstatat",
    "statx",
    "faccessat",
    "readlinkat",
    "mkdirat",
    "execveat",
    "execve",
]
"""The calls with a path that today's programs make most. Older programs make others: open, stat, unlink, ..."""


class AuditPathsHandler(Handler):
    """Calls ``callback(path, ctx)`` for each path of each call, with None for one that cannot be read.

    Decides nothing.
    """

    on_exception = ExceptionPolicy.CONTINUE

    def __init__(self, callback: Callable[[str | None, HandlerCtx], object], max_len: int = 4096) -> None:
        self._callback = callback
        self._max_len = max_len

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        for argument in arguments_of(ctx):
            self._callback(ctx.read_path(argument, self._max_len), ctx)
        return NotifAction.continue_()


class LogSyscallsHandler(Handler):
    """Writes a line for each call to a logger, ``sandlock.audit`` by default, at INFO. Decides nothing."""

    on_exception = ExceptionPolicy.CONTINUE

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("sandlock.audit")

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self._logger.info("syscall=%d pid=%d args=%s", ctx.syscall_nr, ctx.pid, ctx.args)
        return NotifAction.continue_()


def arguments_of(ctx: HandlerCtx) -> list[int]:
    """Return the arguments of a call that are paths."""
    arguments = [argument for _, argument in path_arguments(ctx.syscall_nr)]
    if not arguments:
        raise ValueError(f"system call {ctx.syscall_nr} is not known to take a path")
    return arguments
