"""Facts about a process, from /proc. See proc(5)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "AT_FDCWD",
    "ResolvedPath",
    "command_line",
    "executable",
    "lineage",
    "open_file",
    "parent",
    "process",
    "protocol",
    "resolve",
    "user",
    "working_directory",
]

AT_FDCWD = 0xFFFFFF9C  # -100 as the 32 bits that the kernel looks at
_MAX_LINKS = 40  # path_resolution(7)


def process(task: int) -> int:
    """Return the process of a thread."""
    return int(_status(task, "Tgid")[0])


def parent(task: int) -> int:
    return int(_status(task, "PPid")[0])


def lineage(task: int) -> tuple[int, int]:
    """Return the process of a thread, and that process's parent."""
    with open(f"/proc/{task}/status", "rb") as file:
        text = file.read()

    def number(field: bytes) -> int:
        start = text.index(field) + len(field)
        return int(text[start : text.index(b"\n", start)])

    return number(b"\nTgid:"), number(b"\nPPid:")


def user(task: int) -> int:
    return int(_status(task, "Uid")[1])


def executable(task: int) -> str:
    return os.readlink(f"/proc/{task}/exe")


def command_line(task: int) -> list[str]:
    with open(f"/proc/{task}/cmdline", "rb") as file:
        data = file.read()
    return [os.fsdecode(part) for part in data[: -1 if data.endswith(b"\0") else None].split(b"\0")] if data else []


def working_directory(task: int) -> str:
    return os.readlink(f"/proc/{task}/cwd")


def protocol(task: int, socket: int) -> str | None:
    """Return the protocol of a socket, in the register that has its descriptor; None where that is no socket.

    It is ``tcp``, ``udp`` or ``icmp``, whatever the version of IP, or what the kernel calls another one.
    """
    try:
        # What sockets have is listed in net/socket.c of the kernel.
        name = os.getxattr(f"/proc/{task}/fd/{socket & 0xFFFFFFFF}", "system.sockprotoname")
    except OSError:
        return None
    text = name.rstrip(b"\0").decode(errors="replace").lower()
    text = text[:-2] if text.endswith("v6") else text
    return "icmp" if text == "ping" else text


def open_file(task: int, descriptor: int) -> str | None:
    """Return the name of what a descriptor, as a register has it, is open on; None for one that is not open."""
    try:
        return os.readlink(f"/proc/{task}/fd/{descriptor & 0xFFFFFFFF}")
    except OSError:
        return None


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
    elif folder is None or folder & 0xFFFFFFFF == AT_FDCWD:
        base = working_directory(task)
    else:
        base = os.readlink(f"/proc/{task}/fd/{folder & 0xFFFFFFFF}")
    links: list[str] = []
    resolved = _walk(task, base, path, links, follow=False)
    target = _walk(task, os.path.dirname(resolved), os.path.basename(resolved), links, follow=True)
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
        if (rest or follow) and budget and _is_link(here):
            budget -= 1
            links.append(here)
            text = _OWN[here](task) if here in _OWN else os.readlink(here)
            if text.startswith("/"):
                at = "/"
            elif _DESCRIPTOR.match(here):  # a pipe or the like: it has no path
                at = here
                continue
            rest[:0] = [part for part in text.split("/") if part not in ("", ".")]
            continue
        at = here
    return at


# What these links lead to is the task's, not ours.
_OWN: dict[str, Callable[[int], str]] = {
    "/proc/self": lambda task: f"{process(task)}",
    "/proc/thread-self": lambda task: f"{process(task)}/task/{task}",
}

_DESCRIPTOR = re.compile(r"/proc/\d+(/task/\d+)?/fd/\d+$")


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False
