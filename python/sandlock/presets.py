"""Handlers for common wishes."""

from __future__ import annotations

import errno as _errno
import fnmatch
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence

from ._syscalls import path_arguments, performable_paths
from .actions import ExceptionPolicy, NotifAction
from .context import HandlerCtx, ResolvedPath
from .handler import Handler

__all__ = [
    "COMMON_PATH_SYSCALLS",
    "AuditPathsHandler",
    "LogSyscallsHandler",
    "PathAllowHandler",
    "PathDenyHandler",
    "RedirectHandler",
]

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
    """Calls ``callback(path, ctx)`` for each call, with None for a path that cannot be read. Decides nothing."""

    on_exception = ExceptionPolicy.CONTINUE

    def __init__(self, callback: Callable[[str | None, HandlerCtx], object], max_len: int = 4096) -> None:
        self._callback = callback
        self._max_len = max_len

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self._callback(ctx.read_path(max_len=self._max_len), ctx)
        return NotifAction.continue_()


class LogSyscallsHandler(Handler):
    """Writes a line for each call to a logger, ``sandlock.audit`` by default, at INFO. Decides nothing."""

    on_exception = ExceptionPolicy.CONTINUE

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("sandlock.audit")

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self._logger.info("syscall=%d pid=%d args=%s", ctx.syscall_nr, ctx.pid, ctx.args)
        return NotifAction.continue_()


class _PathHandler(Handler):
    """Judges the paths of a call, and has the call performed with the paths that were judged.

    A path is judged by what it means: links are followed, in the patterns' folders as well. The calls that cannot be
    performed for a child, execve among them, are judged and then left to the kernel, which reads the path again: there
    a second thread of the child can change it in between.
    """

    on_exception = ExceptionPolicy.KILL

    def __init__(self, patterns: object, name: str, errno: int, max_len: int) -> None:
        self._patterns = _with_real_folders(name, patterns)
        self._refusal = NotifAction.errno(errno)
        self._max_len = max_len

    def _matches(self, *names: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in self._patterns)

    def _refuses(self, path: str, resolved: ResolvedPath) -> bool:
        raise NotImplementedError

    def _unreadable(self) -> NotifAction:
        raise NotImplementedError

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        paths = []
        for _, argument in path_arguments(ctx.syscall_nr):
            path = ctx.read_path(argument, self._max_len)
            if path is None:
                return self._unreadable()
            # An empty path means the descriptor beside it, which was judged when it was opened.
            if path and self._refuses(path, ctx.resolve_path(argument, path)):
                return self._refusal
            paths.append(path)
        if not performable_paths(ctx.syscall_nr):
            return NotifAction.continue_()
        return self._checked(ctx.perform(*paths))

    def _checked(self, answer: NotifAction) -> NotifAction:
        """Judge what was really opened: a link on the way may have been changed since the path was judged."""
        if answer._source is None:
            return answer
        opened = os.readlink(f"/proc/self/fd/{answer._source}")
        if opened.startswith("/") and self._refuses(opened, ResolvedPath(opened, opened, ())):
            answer._source.take()
            answer._source.close()
            return self._refusal
        return answer


class PathDenyHandler(_PathHandler):
    """Fails calls whose path matches one of the ``fnmatch`` patterns ``deny``; a path that cannot be read is let on."""

    def __init__(self, deny: Sequence[str], errno: int = _errno.EPERM, max_len: int = 4096) -> None:
        super().__init__(deny, "deny", errno, max_len)

    def _refuses(self, path: str, resolved: ResolvedPath) -> bool:
        return self._matches(path, resolved.path, resolved.target)

    def _unreadable(self) -> NotifAction:
        return NotifAction.continue_()  # the kernel cannot read it either, and answers EFAULT


class PathAllowHandler(_PathHandler):
    """Fails calls whose path matches none of the ``fnmatch`` patterns ``allow``, or cannot be read."""

    def __init__(self, allow: Sequence[str], errno: int = _errno.EACCES, max_len: int = 4096) -> None:
        super().__init__(allow, "allow", errno, max_len)

    def _refuses(self, path: str, resolved: ResolvedPath) -> bool:
        return not self._matches(resolved.target)

    def _unreadable(self) -> NotifAction:
        return self._refusal


class RedirectHandler(Handler):
    """Performs calls on other paths: ``redirects`` maps what a path means to the path that is taken instead.

    A key that ends with ``/`` stands for all that is beneath it. The sandbox's policy holds for the new paths, too.
    """

    on_exception = ExceptionPolicy.KILL

    def __init__(self, redirects: Mapping[str, str], max_len: int = 4096) -> None:
        if not isinstance(redirects, Mapping):
            raise TypeError(f"redirects must be a mapping of paths, not {redirects!r}")
        self._redirects = {os.fspath(old): os.fspath(new) for old, new in redirects.items()}
        self._max_len = max_len

    def _redirect(self, target: str) -> str | None:
        if target in self._redirects:
            return self._redirects[target]
        for old, new in self._redirects.items():
            if old.endswith("/") and target.startswith(old):
                return os.path.join(new, target[len(old) :])
        return None

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        paths = []
        for _, argument in path_arguments(ctx.syscall_nr):
            path = ctx.read_path(argument, self._max_len)
            if path is None:
                return NotifAction.errno(_errno.EFAULT)
            other = self._redirect(ctx.resolve_path(argument, path).target) if path else None
            paths.append(path if other is None else other)
        return ctx.perform(*paths)


def _with_real_folders(name: str, patterns: object) -> list[str]:
    """Return the patterns, and those that are the same files by the real names of their folders."""
    if isinstance(patterns, (str, bytes)) or not isinstance(patterns, Sequence):
        raise TypeError(f"{name} must be a list of patterns, not {patterns!r}")
    result = []
    for position, pattern in enumerate(patterns):
        if not isinstance(pattern, str):
            raise TypeError(f"{name}[{position}] must be a str, not {pattern!r}")
        result.append(pattern)
        literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        folder = literal[: literal.rfind("/") + 1]
        real = os.path.join(os.path.realpath(folder), "") if folder.startswith("/") else folder
        if real != folder:
            result.append(real + pattern[len(folder) :])
    return result
