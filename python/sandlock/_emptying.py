"""Empties folders that a sandboxed program could write to."""

from __future__ import annotations

import os

__all__ = ["empty"]


def empty(top: str | os.PathLike[str]) -> None:
    """Remove whatever is in a folder, in which nobody is at work any more.

    Its folders may be nested deeper than Python's recursion goes, or than a path can be long, and may permit nothing.
    """
    fd = os.open(top, os.O_RDONLY)
    try:
        levels = [_folders(fd)]  # what is left of the folder that is open, and of those above it
        while levels[0] or len(levels) > 1:
            if levels[-1]:
                fd = _step(fd, levels[-1][-1])
                levels.append(_folders(fd))
            else:
                levels.pop()
                fd = _step(fd, "..")
                os.rmdir(levels[-1].pop(), dir_fd=fd)
    finally:
        os.close(fd)


def _step(fd: int, name: str) -> int:
    """Open a folder, in the place of the one that it is in."""
    there = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    os.close(fd)
    return there


def _folders(fd: int) -> list[str]:
    """Return the folders in a folder, made accessible, after everything else in it was removed."""
    found = []
    with os.scandir(fd) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                os.chmod(entry.name, 0o700, dir_fd=fd)
                found.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=fd)
    return found
