"""System calls that do the same: who decides about one of them has decided about nothing."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable

from ._syscalls import name_of, numbers_of

__all__ = ["warn_of_variants"]

_log = logging.getLogger("sandlock")

_FAMILIES = [
    ("open", "openat", "openat2", "creat"),
    ("stat", "lstat", "newfstatat", "statx"),
    ("access", "faccessat", "faccessat2"),
    ("readlink", "readlinkat"),
    ("unlink", "unlinkat", "rmdir"),
    ("mkdir", "mkdirat"),
    ("mknod", "mknodat"),
    ("rename", "renameat", "renameat2"),
    ("link", "linkat"),
    ("symlink", "symlinkat"),
    ("chmod", "fchmodat", "fchmodat2"),
    ("chown", "lchown", "fchownat"),
    ("utime", "utimes", "futimesat", "utimensat"),
    ("execve", "execveat"),
]


def warn_of_variants(handler: str, numbers: Iterable[int]) -> None:
    """Log once what a handler is not asked about, although it is asked about a variant of it."""
    asked = frozenset(numbers)
    for family in _FAMILIES:
        variants = numbers_of(family)
        missing = tuple(name_of(number) for number in variants if number not in asked)
        if 0 < len(missing) < len(variants):
            _warn(handler, tuple(name_of(number) for number in variants if number in asked), missing)


@functools.cache
def _warn(handler: str, asked: tuple[str, ...], missing: tuple[str, ...]) -> None:
    _log.warning(
        "%s is asked about %s, but not about %s, by which a command can do the same; "
        "register it for these as well, or deny them",
        handler,
        ", ".join(asked),
        ", ".join(missing),
    )
