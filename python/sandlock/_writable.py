"""Whether a file can be written, asked before there is anything to write."""

from __future__ import annotations

import os

__all__ = ["check_writable"]


def check_writable(path: str | os.PathLike[str]) -> None:
    """Open a file for writing, and leave everything as it was.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
    except FileExistsError:
        if os.path.isfile(path) or os.path.isdir(path):  # who reads a pipe would take this for its end
            os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    else:
        os.unlink(path)
