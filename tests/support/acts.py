"""System calls in a row, made by programs/acts.c twice: by the kernel, and on the program's behalf."""

from __future__ import annotations

import errno
import os
import reprlib
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple, Union

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from sandlock._request import StrPath
from sandlock._syscalls import number_of
from tests.support.sandboxes import tool_sandbox

AT_FDCWD = -100


class Buffer(NamedTuple):
    """A buffer of the program; its content after the call is the act's ``data``."""

    size: int


class Back(NamedTuple):
    """The result of the call that many calls ago."""

    calls: int


class Text(NamedTuple):
    """A string of bytes."""

    text: bytes


Argument = Union[int, str, bytes, Text, Buffer, Back]

Call = Sequence[Any]
"""The name of a system call and its arguments. A str is a string of the program, bytes a buffer of that content."""


class Act(NamedTuple):
    """What the program tells about a call."""

    result: int
    error: str
    """The name of the errno, empty when the call succeeded."""
    data: bytes


def _word(argument: Argument, position: int) -> str | bytes:
    if isinstance(argument, Buffer):
        return f"b:{argument.size}"
    if isinstance(argument, Back):
        return f"r:{position - argument.calls}"
    if isinstance(argument, Text):
        return b"s:" + argument.text
    if isinstance(argument, bytes):
        return "x:" + argument.hex()
    if isinstance(argument, str):
        return "s:" + argument
    return str(int(argument))


def act(box: Sandbox, program: Path, calls: Sequence[Call], **options: Any) -> list[Act]:
    """Make system calls in the sandbox."""
    result = box.run(_words(program, calls), timeout=60, **options)
    assert (result.success, result.handler_errors) == (True, []), (result, result.stderr)
    return _told(result.stdout)


def bare(program: Path, calls: Sequence[Call]) -> list[Act]:
    """Make system calls without a sandbox."""
    return _told(subprocess.run(_words(program, calls), capture_output=True, check=True, timeout=60).stdout)


def _words(program: Path, calls: Sequence[Call]) -> list[str | bytes | Path]:
    words: list[str | bytes | Path] = [program]
    for position, (name, *arguments) in enumerate(calls):
        words += [str(number_of(name)), *(_word(argument, position) for argument in arguments), ","]
    return words[:-1]


def _told(stdout: bytes) -> list[Act]:
    told = [line.split(b" ") for line in stdout.splitlines()]
    return [
        Act(int(value), errno.errorcode.get(int(error), ""), bytes.fromhex(data.decode()))
        for value, error, data in told
    ]


class Perform(Handler):
    """Has every call performed."""

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return ctx.perform()


def known(name: str) -> bool:
    """Say whether this machine has the call; arm64 lacks the oldest."""
    try:
        number_of(name)
    except ValueError:
        return False
    return True


# fmt: off
PERFORMED = [name for name in (
    "open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
    "readlink", "readlinkat", "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknodat", "rename", "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmodat", "fchmodat2", "chown", "lchown",
    "fchownat", "truncate", "utimensat", "statfs",
) if known(name)]
# fmt: on
"""The calls that can be performed for a child."""


def performing(names: Sequence[str] = PERFORMED) -> list[tuple[str, Handler]]:
    """Return handlers that have calls performed, all that can be."""
    handler = Perform()
    return [(name, handler) for name in names]


def _placed(call: Call, folder: Path) -> list[Any]:
    """Put the folder in the place of a leading @ in a string."""
    return [f"{folder}{word[1:]}" if isinstance(word, str) and word.startswith("@") else word for word in call]


def twice(
    program: Path,
    where: Path,
    make: Callable[[Path], object],
    calls: Sequence[Call],
    *,
    ignored: int = 0,
    same_data: bool = False,
    names: Sequence[str] = PERFORMED,
    readable: Sequence[StrPath] = (),
) -> list[Act]:
    """Make calls in two equal folders, once by the kernel and once performed, and return what the kernel did.

    Results and errors must be the same, and so must be what becomes of the folder. With ``same_data`` both times are in
    one folder, which nothing may change, and the buffers must have the same content. The bits ``ignored`` of positive
    results may differ. Performed are the calls with these ``names``.
    """
    acts: list[list[Act]] = []
    trees: list[dict[str, tuple[Any, ...]]] = []
    for performed in (False, True):
        folder = where / ("both" if same_data else "performed" if performed else "bare")
        if not folder.exists():
            folder.mkdir()
            make(folder)
        box = tool_sandbox([program, *readable], [folder], cwd=folder)
        handlers = performing(names) if performed else []
        acts.append(act(box, program, [_placed(call, folder) for call in calls], handlers=handlers))
        if not same_data:
            trees.append(tree(folder))
    differences = [
        f"{reprlib.repr(call)}: {bare[:2]} by the kernel, {performed[:2]} performed"
        for call, bare, performed in zip(calls, *acts)
        if bare.error != performed.error
        or (bare.result != performed.result and bare.result & ~ignored != performed.result & ~ignored)
        or (same_data and bare.data != performed.data)
    ]
    assert not differences, "\n".join(differences)
    assert not trees or trees[0] == trees[1]
    return acts[0]


def tree(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Return what is beneath a folder, by name. What was made unreadable is made readable for the look."""
    found: dict[str, tuple[Any, ...]] = {}

    def look(path: Path) -> None:
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        content: bytes | str = b""
        names: list[str] = []
        if stat.S_ISREG(status.st_mode):
            path.chmod(mode | 0o400)
            content = path.read_bytes()
        elif stat.S_ISDIR(status.st_mode):
            path.chmod(mode | 0o700)
            names = os.listdir(path)
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(path).replace(str(folder), "@")
        owner = (status.st_uid, status.st_gid)
        found[str(path.relative_to(folder))] = (stat.filemode(status.st_mode), status.st_nlink, owner, content)
        for name in names:
            look(path / name)
        if not stat.S_ISLNK(status.st_mode):
            path.chmod(mode)

    look(folder)
    return found
