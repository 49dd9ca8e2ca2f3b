"""How objects are shown: in a terminal and, as IPython asks for it, in a notebook."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Shown", "aligned"]


class Shown:
    """Shows itself in a notebook as :mod:`sandlock.jupyter.views` writes it."""

    def _repr_html_(self) -> str:
        from .jupyter.views import as_html  # here, because only notebooks need it

        return as_html(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from .jupyter.views import as_text

        return {"text/plain": as_text(self), "text/html": self._repr_html_()}


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
