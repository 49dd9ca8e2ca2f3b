"""Ports, as the network's rules have them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ._extension import core
from ._request import ports as texts_of
from .exceptions import from_core

__all__ = ["parse_ports"]


def parse_ports(ports: Iterable[int | str]) -> list[int]:
    """Return the port numbers that entries of ``net_allow_bind`` stand for, in ascending order, each once.

    Args:
        ports: numbers, and text such as ``"80"``, ``"8000-8010"``, ``"80,443"`` or, alone, ``"*"`` for any, 0 included.

    Raises:
        PolicyError: an entry is no port from 0 to 65535, nor a range of them.
    """
    try:
        numbers: list[int] = json.loads(core().core_Ports(json.dumps(texts_of("ports", ports))))
    except RuntimeError as error:
        raise from_core(error) from None
    return numbers
