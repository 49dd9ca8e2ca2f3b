"""Text that somebody else has chosen, such as the paths of a command, made fit to be shown."""

from __future__ import annotations

__all__ = ["printable"]


def printable(text: str, kept: str = "") -> str:
    """Write out what does not print, so that no terminal obeys it and no line is forged.

    Args:
        kept: characters that may stay nevertheless, such as newlines.
    """
    return "".join(
        char if char.isprintable() or char in kept else char.encode("unicode_escape").decode() for char in text
    )
