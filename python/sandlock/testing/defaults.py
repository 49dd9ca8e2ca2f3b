"""What a sandboxed interpreter needs."""

from __future__ import annotations

import glob
import os
import sys
import sysconfig
from collections.abc import Iterable

__all__ = ["interpreter_folders", "interpreter_policy"]

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib*", "/etc", "/dev/urandom", "/dev/zero", "/dev/full", "/proc/self")


def interpreter_folders() -> list[str]:
    """Return where the running interpreter, and what it has installed, are.

    In a virtual environment the interpreter is in two places; packages that are installed for editing are in others,
    which are on ``sys.path``.
    """
    folders = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *filter(None, sys.path)]
    return list(dict.fromkeys(folder for folder in folders if os.path.exists(folder)))


def interpreter_policy(readable: Iterable[str | os.PathLike[str]] = ()) -> dict[str, list[str]]:
    """Return the file lists of a sandbox in which the running interpreter works, and reads ``readable`` as well.

    There is no network in it, and nothing but /dev/null can be written.
    """
    system = [path for pattern in _SYSTEM for path in sorted(glob.glob(pattern))]
    return {
        "fs_readable": [*system, *interpreter_folders(), *(os.fspath(path) for path in readable)],
        "fs_writable": ["/dev/null"],
    }
