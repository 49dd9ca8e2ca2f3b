"""System calls by name, and which of their arguments are paths."""

from __future__ import annotations

import functools
import json

from ._extension import core
from .errors import from_core

__all__ = ["number_of", "path_argument"]

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
    "fchownat",
    "utimensat",
    "execveat",
]
_TWO_PATHS = ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"]


def number_of(syscall: str | int) -> int:
    """Return the number of a system call on this machine.

    Raises:
        ValueError: no system call has that name (the message has the nearest one), or the number is negative.
        TypeError: neither a name nor a number.
    """
    if isinstance(syscall, bool) or not isinstance(syscall, (str, int)):
        raise TypeError(f"syscall must be a name or a number, not {type(syscall).__name__}: {syscall!r}")
    if isinstance(syscall, int):
        if syscall < 0:
            raise ValueError(f"syscall number {syscall} is negative; numbers start at 0")
        return syscall
    try:
        number: int = core().core_SyscallNumber(syscall)
    except RuntimeError as error:
        raise ValueError(str(from_core(error))) from None
    return number


@functools.cache
def _path_arguments() -> dict[int, int | None]:
    """Return the index of the path by system call; None where there are two."""
    numbers: dict[str, int] = json.loads(core().core_Syscalls())
    table: dict[int, int | None] = {}
    for names, index in ((_PATH_FIRST, 0), (_PATH_SECOND, 1), (_TWO_PATHS, None)):
        table.update({numbers[name]: index for name in names if name in numbers})
    return table


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
