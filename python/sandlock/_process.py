"""Facts about a process, from /proc. See proc(5)."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

__all__ = ["ResolvedPath", "command_line", "executable", "parent", "resolve", "user", "working_directory"]

_AT_FDCWD = 0xFFFFFF9C  # -100 as the 32 bits that the kernel looks at
_MAX_LINKS = 40  # path_resolution(7)


def parent(task: int) -> int:
    return int(_status(task, "PPid")[0])


def user(task: int) -> int:
    return int(_status(task, "Uid")[1])


def executable(task: int) -> str:
    return os.readlink(f"/proc/{task}/exe")


def command_line(task: int) -> list[str]:
    with open(f"/proc/{task}/cmdline", "rb") as file:
        return [os.fsdecode(part) for part in file.read().split(b"\0")[:-1]]


def working_directory(task: int) -> str:
    return os.readlink(f"/proc/{task}/cwd")


def _status(task: int, name: str) -> list[str]:
    with open(f"/proc/{task}/status", errors="surrogateescape") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key == name:
                return value.split()
    raise OSError(f"/proc/{task}/status has no {name}")


@dataclass(frozen=True)
class ResolvedPath:
    """What a path meant for a child at some moment."""

    path: str
    """The absolute path, with the links on the way followed, but not one at its end."""
    target: str
    """The same with a link at its end followed as well."""
    symlinks: tuple[str, ...]
    """The symbolic links that were met, as absolute paths, in order."""


def resolve(task: int, folder: int | None, path: str) -> ResolvedPath:
    """Find out what a path means for a task; ``folder`` is the register with the descriptor that it is relative to."""
    if path.startswith("/"):
        base = "/"
    elif folder is None or folder & 0xFFFFFFFF == _AT_FDCWD:
        base = working_directory(task)
    else:
        base = os.readlink(f"/proc/{task}/fd/{folder & 0xFFFFFFFF}")
    links: list[str] = []
    resolved = _walk(task, base, path, links, follow=False)
    target = _walk(task, "/", resolved, links, follow=True)
    return ResolvedPath(resolved, target, tuple(dict.fromkeys(links)))


def _walk(task: int, base: str, path: str, links: list[str], follow: bool) -> str:
    """Follow the links of a path as the kernel would for the task; what does not exist is taken as it is."""
    at = base
    rest = [part for part in path.split("/") if part not in ("", ".")]
    budget = _MAX_LINKS
    while rest:
        part = rest.pop(0)
        if part == "..":
            at = os.path.dirname(at)
            continue
        here = os.path.join(at, part)
        if at == "/proc" and part in ("self", "thread-self"):
            links.append(here)
            at = f"/proc/{task}"  # for the task, not for us
            continue
        if (rest or follow) and budget and _is_link(here):
            budget -= 1
            links.append(here)
            text = os.readlink(here)
            if text.startswith("/"):
                at = "/"
            rest[:0] = [part for part in text.split("/") if part not in ("", ".")]
            continue
        at = here
    return at


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False
