"""System calls by name, and which of their arguments are paths."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence

from ._extension import core
from .exceptions import PolicyError, from_core

__all__ = [
    "folder_argument",
    "name_of",
    "number_of",
    "numbers_of",
    "path_argument",
    "path_arguments",
    "path_calls",
    "performable_paths",
]

_PATH_FIRST = [
    "open",
    "creat",
    "unlink",
    "mkdir",
    "rmdir",
    "stat",
    "lstat",
    "access",
    "readlink",
    "chmod",
    "chown",
    "lchown",
    "truncate",
    "statfs",
    "chdir",
    "execve",
    "setxattr",
    "lsetxattr",
    "getxattr",
    "lgetxattr",
    "listxattr",
    "llistxattr",
    "removexattr",
    "lremovexattr",
]
_PATH_SECOND = [
    "openat",
    "openat2",
    "unlinkat",
    "mkdirat",
    "mknodat",
    "newfstatat",
    "statx",
    "faccessat",
    "faccessat2",
    "readlinkat",
    "fchmodat",
    "fchmodat2",
    "fchownat",
    "utimensat",
    "execveat",
]
_TWO_PATHS = ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"]


_LAST_NUMBER = (1 << 31) - 1


def number_of(syscall: str | int) -> int:
    """Return the number of a system call on this machine.

    Raises:
        PolicyError: no system call has that name (the message has the nearest one), or the number is negative.
        TypeError: neither a name nor a number.
    """
    if isinstance(syscall, bool) or not isinstance(syscall, (str, int)):
        raise TypeError(f"syscall must be a name or a number, not {type(syscall).__name__}: {syscall!r}")
    if isinstance(syscall, int):
        if not 0 <= syscall <= _LAST_NUMBER:
            raise PolicyError(f"syscall {syscall} is no number of a system call; they start at 0")
        return syscall
    if not syscall.isascii() or "\0" in syscall:
        raise PolicyError(f"syscall {syscall!r} is no name of a system call; write one such as 'openat'")
    find = core().core_SyscallNumber
    try:
        return int(find(syscall))
    except RuntimeError as error:
        raise from_core(error) from None


@functools.cache
def _numbers() -> dict[str, int]:
    """Return the system calls of this machine by name."""
    numbers: dict[str, int] = json.loads(core().core_Syscalls())
    return numbers


@functools.cache
def _names() -> dict[int, str]:
    return {number: name for name, number in _numbers().items()}


def name_of(number: int) -> str:
    """Return the name of a system call on this machine, or its number as text where it has none."""
    return _names().get(number, str(number))


def numbers_of(names: Sequence[str]) -> list[int]:
    """Return the numbers of system calls by name, those left out that this machine does not have."""
    numbers = _numbers()
    return [numbers[name] for name in names if name in numbers]


@functools.cache
def _path_arguments() -> dict[int, int | None]:
    """Return the index of the path by system call; None where there are two."""
    numbers = _numbers()
    table: dict[int, int | None] = {}
    for names, index in ((_PATH_FIRST, 0), (_PATH_SECOND, 1), (_TWO_PATHS, None)):
        table.update({numbers[name]: index for name in names if name in numbers})
    return table


@functools.cache
def path_calls(*more: str) -> dict[str, int]:
    """Return the numbers of the calls that take paths, and of those that are named, by name."""
    numbers = _numbers()
    return {name: numbers[name] for name in (*_PATH_FIRST, *_PATH_SECOND, *_TWO_PATHS, *more) if name in numbers}


@functools.cache
def performable_paths(syscall: int) -> int:
    """Return how many paths a call takes that sandlock can perform for a child, 0 for one that it cannot."""
    return int(core().core_PathCount(syscall))


@functools.cache
def path_argument(syscall: int) -> int:
    """Return which argument of a system call is its path.

    Raises:
        ValueError: the call takes two paths, or none that is known of.
    """
    table = _path_arguments()
    if syscall not in table:
        raise ValueError(f"system call {syscall} is not known to take a path; give arg=")
    index = table[syscall]
    if index is None:
        raise ValueError(f"system call {syscall} takes two paths; say which one with arg=")
    return index


# The calls with two paths: where they are, each with the argument that has the folder it is relative to.
_TWO_PATH_ARGUMENTS = {
    "rename": ((None, 0), (None, 1)),
    "renameat": ((0, 1), (2, 3)),
    "renameat2": ((0, 1), (2, 3)),
    "link": ((None, 0), (None, 1)),
    "linkat": ((0, 1), (2, 3)),
    "symlink": ((None, 0), (None, 1)),
    "symlinkat": ((None, 0), (1, 2)),
}


@functools.cache
def path_arguments(syscall: int) -> tuple[tuple[int | None, int], ...]:
    """Return the arguments of a call that are paths, each after the argument with the folder that it is relative to.

    The folder is None where it is always the working directory. The result is empty for unknown calls.
    """
    numbers = _numbers()
    for name, places in _TWO_PATH_ARGUMENTS.items():
        if numbers.get(name) == syscall:
            return places
    index = _path_arguments().get(syscall)
    if index is None:
        return ()
    return (((None if index == 0 else 0), index),)


def folder_argument(syscall: int, path: int) -> int | None:
    """Return the argument with the folder that a path argument is relative to, None for the working directory."""
    return next((folder for folder, argument in path_arguments(syscall) if argument == path), None)
