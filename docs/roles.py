"""A griffe extension: shows the roles of docstrings, such as :class:`Sandbox`, as code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([^`]+)`")


class Roles(griffe.Extension):
    """Rewrites docstrings after they have been read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Take the roles out of an object's docstring."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)
