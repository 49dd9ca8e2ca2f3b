"""Entering what may be missing into a row."""

from __future__ import annotations

from typing import Callable

from ..host import Host
from ..peers import Unavailable
from ..setting import BUBBLEWRAP, PEER, Setting
from ..timing import Absent, Contestant, Entry

__all__ = ["BARE", "FLOOR", "entry", "peer", "wrapped"]

BARE = "subprocess"
"""The name of the contestant that is nothing but subprocess.run."""

FLOOR = "floor.c"
"""The name of the contestant that is the smallest supervisor there can be."""


def entry(name: str, make: Callable[[], Callable[[], float]], every: int = 1) -> Entry:
    """Enter what ``make`` returns, or why it cannot."""
    try:
        return Contestant(name, make(), every)
    except Unavailable as reason:
        return Absent(name, str(reason))


def peer(setting: Setting, measure: Callable[[Host], float], every: int = 1) -> Entry:
    """Enter the peer, which is measured as we are, in a host of its own."""

    def make() -> Callable[[], float]:
        host = setting.peer()
        return lambda: measure(host)

    return entry(PEER, make, every)


def wrapped(setting: Setting, measure: Callable[[list[str]], float], every: int = 1) -> Entry:
    """Enter bubblewrap; ``measure`` is given the beginning of a command that runs the rest of it in there."""

    def make() -> Callable[[], float]:
        prefix = setting.bubblewrap()
        return lambda: measure(prefix)

    return entry(BUBBLEWRAP, make, every)
