"""What IPython asks an object for, to show it."""

from __future__ import annotations

__all__ = ["Shown"]


class Shown:
    """Shows itself in a notebook as :mod:`sandlock.jupyter.views` writes it."""

    def _repr_html_(self) -> str:
        from .jupyter.views import as_html  # here, because only notebooks need it

        return as_html(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from .jupyter.views import as_text

        return {"text/plain": as_text(self), "text/html": self._repr_html_()}
