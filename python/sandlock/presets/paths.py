"""Handlers that decide about paths, race-free: what they judge is what is used."""

from __future__ import annotations

import contextlib
import errno as _errno
import fnmatch
import functools
import os
import re
from collections.abc import Mapping, Sequence

from .._process import process
from .._syscalls import number_of, performable_paths
from ..actions import ExceptionPolicy, NotifAction
from ..context import HandlerCtx, ResolvedPath
from ..exceptions import NotifError
from ..handler import Handler
from .watch import arguments_of

__all__ = ["PathAllowHandler", "PathDenyHandler", "PerformingHandler", "RedirectHandler"]


class PerformingHandler(Handler):
    """Has calls performed."""

    on_exception = ExceptionPolicy.KILL

    def _decide(self, ctx: HandlerCtx) -> NotifAction:
        raise NotImplementedError

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        try:
            return self._decide(ctx)
        except NotifError:
            if ctx._waits():
                raise
            return NotifAction.errno(_errno.EINTR)  # the child is gone: nobody gets it


class _PathHandler(PerformingHandler):
    """Has calls performed when what their paths lead to is judged to be right.

    The names that are judged are absolute and without links, those that the kernel found; what it found is then used,
    whatever the path leads to by then. The calls that cannot be performed for a child, execve among them, are judged
    and then left to the kernel, which reads the path again: a second thread of the child can change it in between.
    """

    _every_variant = True

    def __init__(self, patterns: object, name: str, errno: int, max_len: int) -> None:
        if isinstance(max_len, bool) or not isinstance(max_len, int):
            raise TypeError(f"max_len must be an int, not {max_len!r}")
        if max_len < 1:
            raise ValueError(f"max_len must be from 1 on, not {max_len}")
        self._patterns = _with_real_folders(name, patterns)
        self._refusal = NotifAction.errno(errno)
        self._max_len = max_len

    def _matches(self, ctx: HandlerCtx, *names: str) -> bool:
        return any(
            fnmatch.fnmatchcase(alias, pattern)
            for name in names
            for alias in _aliases(ctx, name)
            for pattern in self._patterns
        )

    def _refuses_path(self, ctx: HandlerCtx, path: str, resolved: ResolvedPath | None) -> bool:
        """Judge a path before it is followed; ``resolved`` is None for one that names no file."""
        raise NotImplementedError

    def _refuses_file(self, ctx: HandlerCtx, name: str) -> bool:
        """Judge what a path leads to."""
        raise NotImplementedError

    def _unreadable(self, error: NotifAction) -> NotifAction:
        """Answer a call whose path cannot be read; ``error`` is what the kernel would answer."""
        raise NotImplementedError

    def _judge(self, ctx: HandlerCtx, name: str) -> NotifAction | None:
        return self._refusal if self._refuses_file(ctx, name) else None

    def _decide(self, ctx: HandlerCtx) -> NotifAction:
        if not performable_paths(ctx.syscall_nr):
            return self._decide_about_others(ctx)
        words: list[bytes] = []
        judged: list[bytes] = []
        for argument in arguments_of(ctx):
            word = ctx._read_path_of_call(argument)
            if isinstance(word, NotifAction):
                return self._unreadable(word)
            words.append(word)
            path = os.fsdecode(word)
            if not path:
                continue  # it means the descriptor beside it, which was judged when it was opened
            resolved = None if is_text(ctx, argument) else ctx.resolve_path(argument, path)
            if self._refuses_path(ctx, path, resolved):
                return self._refusal
            if resolved is not None:  # where the path most likely leads to
                names = (resolved.path, resolved.target)
                judged += [os.fsencode(name) for name in names if not self._refuses_file(ctx, name)]
        return ctx._perform_judged(words, judged, functools.partial(self._judge, ctx))

    def _decide_about_others(self, ctx: HandlerCtx) -> NotifAction:
        for argument in arguments_of(ctx):
            path = ctx.read_path(argument, self._max_len)
            if path is None:
                return self._unreadable(NotifAction.continue_())
            if path:
                resolved = ctx.resolve_path(argument, path)
                if self._refuses_path(ctx, path, resolved) or self._refuses_file(ctx, resolved.target):
                    return self._refusal
        return NotifAction.continue_()


class PathDenyHandler(_PathHandler):
    """Fails calls whose path matches one of the ``fnmatch`` patterns ``deny``, as it is written or by what it leads to.

    A call whose path cannot be read goes on to the error that the kernel has for that.

    Args:
        errno: what they fail with.
        max_len: how many bytes are read of the path of a call that cannot be performed, such as execve; a longer one
            goes on.
    """

    def __init__(self, deny: Sequence[str], errno: int = _errno.EPERM, max_len: int = 4096) -> None:
        super().__init__(deny, "deny", errno, max_len)

    def _refuses_path(self, ctx: HandlerCtx, path: str, resolved: ResolvedPath | None) -> bool:
        return self._matches(ctx, path) or (resolved is not None and self._matches(ctx, resolved.path))

    def _refuses_file(self, ctx: HandlerCtx, name: str) -> bool:
        return self._matches(ctx, name)

    def _unreadable(self, error: NotifAction) -> NotifAction:
        return error


class PathAllowHandler(_PathHandler):
    """Fails calls whose path leads to what matches none of the ``fnmatch`` patterns ``allow``.

    So do those whose path cannot be read, or is longer than ``max_len``.

    Args:
        errno: what they fail with.
        max_len: how many bytes a path may have.
    """

    def __init__(self, allow: Sequence[str], errno: int = _errno.EACCES, max_len: int = 4096) -> None:
        super().__init__(allow, "allow", errno, max_len)

    def _refuses_path(self, ctx: HandlerCtx, path: str, resolved: ResolvedPath | None) -> bool:
        return len(os.fsencode(path)) > self._max_len

    def _refuses_file(self, ctx: HandlerCtx, name: str) -> bool:
        return not self._matches(ctx, name)

    def _unreadable(self, error: NotifAction) -> NotifAction:
        return self._refusal


class RedirectHandler(PerformingHandler):
    """Performs calls on other paths: ``redirects`` maps what a path leads to, to the path that is taken instead.

    A key that ends with ``/`` stands for all that is beneath it. The sandbox's policy holds for the new paths, too.
    """

    def __init__(self, redirects: Mapping[str, str]) -> None:
        if not isinstance(redirects, Mapping):
            raise TypeError(f"redirects must be a mapping of paths, not {redirects!r}")
        self._redirects: dict[str, str] = {}
        for old, new in redirects.items():
            if not isinstance(old, (str, os.PathLike)) or not isinstance(new, (str, os.PathLike)):
                raise TypeError(f"redirects[{old!r}] must map a path to a path, not to {new!r}")
            key = _with_real_folder(os.fspath(old), os.fspath(old))
            self._redirects[key] = os.fspath(new)

    def _redirect(self, name: str) -> str | None:
        if name in self._redirects:
            return self._redirects[name]
        for old, new in self._redirects.items():
            if old.endswith("/") and name.startswith(old):
                return os.path.join(new, name[len(old) :])
        return None

    def _decide(self, ctx: HandlerCtx) -> NotifAction:
        paths = []
        for argument in arguments_of(ctx):
            word = ctx._read_path_of_call(argument)
            if isinstance(word, NotifAction):
                return word
            paths.append(os.fsdecode(word))
        files = [i for i, argument in enumerate(arguments_of(ctx)) if not is_text(ctx, argument)]
        redirected: set[int] = set()
        while True:
            led_to: list[str] = []

            def judge(name: str, led_to: list[str] = led_to) -> NotifAction | None:
                led_to.append(name)
                if len(led_to) > len(files):
                    return _MOVED
                return None if files[len(led_to) - 1] in redirected or self._redirect(name) is None else _MOVED

            answer = ctx.perform(*paths, judge=judge)
            if answer is not _MOVED:
                return answer
            if len(led_to) > len(files):  # the links were replaced meanwhile
                return NotifAction.errno(_errno.ELOOP)
            position = files[len(led_to) - 1]
            paths[position] = str(self._redirect(led_to[-1]))
            redirected.add(position)


_MOVED = NotifAction.errno(_errno.EREMOTE)


@functools.cache
def _symlink_calls() -> set[int]:
    numbers = set()
    for name in ("symlink", "symlinkat"):
        with contextlib.suppress(ValueError):  # not on this machine
            numbers.add(number_of(name))
    return numbers


def is_text(ctx: HandlerCtx, argument: int) -> bool:
    """Say whether an argument names no file: what a new link shall say."""
    return argument == 0 and ctx.syscall_nr in _symlink_calls()


def _aliases(ctx: HandlerCtx, name: str) -> list[str]:
    """Return the names by which patterns may know a file: the child's own folder in /proc is /proc/self as well."""
    if name.startswith("/proc/"):
        own = f"/proc/{process(ctx.pid)}/"
        if name.startswith(own):
            return [name, "/proc/self/" + name[len(own) :]]
    return [name]


def _with_real_folders(name: str, patterns: object) -> list[str]:
    """Return the patterns, and those that are the same files by the real names of their folders."""
    if isinstance(patterns, (str, bytes)) or not isinstance(patterns, Sequence):
        raise TypeError(f"{name} must be a list of patterns, not {patterns!r}")
    result: list[str] = []
    for position, pattern in enumerate(patterns):
        if not isinstance(pattern, str):
            raise TypeError(f"{name}[{position}] must be a str, not {pattern!r}")
        literal = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        result += dict.fromkeys((pattern, _with_real_folder(pattern, literal)))
    return result


def _with_real_folder(path: str, literal: str) -> str:
    """Follow the links in the folders that the beginning of a path names; ``literal`` is as much as is one."""
    folder = literal[: literal.rfind("/") + 1]
    if not folder.startswith("/") or folder.startswith("/proc/"):  # /proc/self is another one for the child
        return path
    return os.path.join(os.path.realpath(folder), "") + path[len(folder) :]
