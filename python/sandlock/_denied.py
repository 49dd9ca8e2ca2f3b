"""Paths that are denied while a command runs."""

from __future__ import annotations

import errno
import os
import threading

from ._process import executable
from ._request import StrPath
from ._syscalls import numbers_of, path_arguments
from .actions import NotifAction
from .context import HandlerCtx, ResolvedPath
from .presets.paths import PathDenyHandler, is_text

__all__ = ["DeniedPaths", "Executions", "PathEnforcer", "is_beneath"]

_MANY = 4096


class DeniedPaths:
    """Files and folders that are denied, and parts of them that are not. The nearest entry above a name decides."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, bool] = {}  # replaced as a whole: read without the lock
        self._moving = frozenset(numbers_of(("rename", "renameat", "renameat2")))
        # These are about a link itself, and not about what it leads to.
        self._of_links = self._moving.union(
            numbers_of(("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknodat", "link", "linkat", "lchown")),
            numbers_of(("symlink", "symlinkat")),
        )

    def deny(self, path: StrPath) -> None:
        self._enter(path, True)

    def allow(self, path: StrPath) -> None:
        self._enter(path, False)

    def _enter(self, path: StrPath, denied: bool) -> None:
        written = os.path.abspath(os.fsdecode(path))
        if "\0" in written:
            raise ValueError(f"path: {written!r} holds a NUL")
        names = {written, os.path.realpath(written)}
        with self._lock:
            entries = {
                name: was for name, was in self._entries.items() if not any(is_beneath(name, top) for top in names)
            }
            for name in names:
                if denied != _decided(entries, name):
                    entries[name] = denied
            self._entries = entries

    def __bool__(self) -> bool:
        return bool(self._entries)

    def covers(self, name: str) -> bool:
        """Say whether an absolute name is denied."""
        return _decided(self._entries, name)

    def refuses(self, ctx: HandlerCtx, name: str) -> bool:
        """Say whether a call may not be made about a file. What is above a denied one cannot be moved away."""
        entries = self._entries
        if ctx.syscall_nr in self._moving and any(
            is_beneath(entry, name) for entry, denied in entries.items() if denied
        ):
            return True
        return _decided(entries, name)

    def deny_call(self, ctx: HandlerCtx) -> bool:
        """Say whether one of the paths of a call leads, at this moment, to what is denied."""
        if not self._entries:
            return False
        for _, argument in path_arguments(ctx.syscall_nr):
            path = ctx.read_path(argument)
            if path and not is_text(ctx, argument):
                resolved = ctx.resolve_path(argument, path)
                followed = resolved.path if ctx.syscall_nr in self._of_links else resolved.target
                if self.refuses(ctx, resolved.path) or self.refuses(ctx, followed):
                    return True
        return False


class Executions:
    """Programs that are about to be executed while paths are denied.

    No execve can be performed for somebody else, and the kernel reads its path again. So what came of it is looked at
    when the new program first asks for memory, which ld.so does before anything of the program runs.
    """

    def __init__(self, paths: DeniedPaths) -> None:
        self._paths = paths
        self._lock = threading.Lock()
        self._before: dict[int, str] = {}  # by process: what it ran when it was about to execute something

    def begin(self, pid: int) -> None:
        """Note that a process may execute what was judged."""
        if self._paths:
            before = executable(pid)
            with self._lock:
                if len(self._before) >= _MANY:
                    self._before = {p: path for p, path in self._before.items() if os.path.exists(f"/proc/{p}")}
                self._before[pid] = before

    def has_begun_denied(self, pid: int) -> bool:
        """Say whether a process runs what was not judged, and is denied."""
        if pid not in self._before:
            return False
        now = executable(pid)
        with self._lock:
            if self._before.get(pid) in (None, now):  # a thread of the program before, whose execve is under way
                return False
            del self._before[pid]
        return self._paths.covers(now)


class PathEnforcer(PathDenyHandler):
    """Performs calls about files while paths are denied, so that what was judged is what is used."""

    def __init__(self, paths: DeniedPaths) -> None:
        super().__init__([], errno.EACCES)
        self._paths = paths

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return super().handle(ctx) if self._paths else NotifAction.continue_()

    def _refuses_path(self, ctx: HandlerCtx, path: str, resolved: ResolvedPath | None) -> bool:
        return resolved is not None and self._paths.refuses(ctx, resolved.path)

    def _refuses_file(self, ctx: HandlerCtx, name: str) -> bool:
        return self._paths.refuses(ctx, name)


def is_beneath(name: str, top: str) -> bool:
    """Say whether a name is another one or is beneath it."""
    return name == top or name.startswith(top if top.endswith("/") else top + "/")


def _decided(entries: dict[str, bool], name: str) -> bool:
    """Return what the nearest entry at or above a name says."""
    while name not in entries:
        above = os.path.dirname(name)
        if above == name:
            return False
        name = above
    return entries[name]
