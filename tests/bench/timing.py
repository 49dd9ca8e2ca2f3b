"""Measurements that are taken in turn.

A row compares contestants: each round asks every one of them once (ours, other, ours, other, ...), so that whatever
slows the machine down slows all of them. Ratios of medians of one row are to be compared, and nothing else.
"""

from __future__ import annotations

import enum
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Callable, Union

from .host import FailedError
from .peers import Unavailable
from .setting import Setting

__all__ = ["OURS", "Absent", "Contestant", "Effort", "Entry", "Goal", "Measured", "Row", "Unit", "measure"]

OURS = "sandlock"
"""The name of the contestant whose value is judged."""


class Unit(enum.Enum):
    """What a value is."""

    SECONDS = "s"
    PER_SECOND = "/s"
    BYTES = "B"
    COUNT = ""


@dataclass(frozen=True)
class Contestant:
    """Who is measured, and how: each call of ``measure`` returns one value."""

    name: str
    measure: Callable[[], float]
    every: int = 1
    """Takes part in every so many rounds only: for those that take long."""


@dataclass(frozen=True)
class Absent:
    """A contestant that cannot be measured here, and why."""

    name: str
    reason: str


Entry = Union[Contestant, Absent]


@dataclass(frozen=True)
class Goal:
    """The highest value of ours that we accept, as it is or divided by the median of another contestant."""

    bound: float
    against: str | None = None
    at_least: bool = False
    """The bound is the lowest value instead."""

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Row:
    """A figure of the table."""

    name: str
    """Chooses the row on the command line."""
    title: str
    prepare: Callable[[Setting], Sequence[Entry]]
    """Sets up what is measured. What it enters in the setting is left after the row."""
    goal: Goal | None = None
    unit: Unit = Unit.SECONDS
    rounds: int = 15
    seconds: float = 20
    """When this time is over no round is begun any more, once there are three."""
    warm_up: int = 1
    """Rounds before the first that counts."""
    layers: bool = False
    """Each contestant does what the one before does, and something more, whose cost is the difference."""


@dataclass(frozen=True)
class Effort:
    """How much is measured. The default is for the record."""

    quick: bool = False
    """A fifth of the rounds, and smaller subjects."""
    rounds: int | None = None
    """At most so many."""
    peers: bool = True
    """Measure other packages as well."""

    def rounds_of(self, row: Row) -> int:
        rounds = max(3, row.rounds // 5) if self.quick else row.rounds
        return rounds if self.rounds is None else min(rounds, self.rounds)


@dataclass(frozen=True)
class Measured:
    """What came out for a row: the values of each contestant, in the row's unit."""

    row: Row
    values: dict[str, list[float]]
    absent: list[Absent] = field(default_factory=list)

    def median(self, name: str) -> float:
        return statistics.median(self.values[name])

    @property
    def judged(self) -> float | None:
        """What the goal is about; None when it could not be measured."""
        goal = self.row.goal
        if goal is None or OURS not in self.values:
            return None
        if goal.against is None:
            return self.median(OURS)
        return self.median(OURS) / self.median(goal.against) if goal.against in self.values else None

    @property
    def met(self) -> bool | None:
        goal, judged = self.row.goal, self.judged
        return None if goal is None or judged is None else goal.met(judged)


def measure(row: Row, effort: Effort) -> Measured:
    """Take the measurements of a row in turn."""
    with Setting(effort.quick, effort.peers) as setting:
        try:
            entered = row.prepare(setting)
        except Unavailable as reason:
            entered = [Absent(OURS, str(reason))]
        contestants = [c for c in entered if isinstance(c, Contestant)]
        absent = [c for c in entered if isinstance(c, Absent)]
        values: dict[str, list[float]] = {c.name: [] for c in contestants}
        for contestant in contestants * (0 if effort.rounds == 1 else row.warm_up):
            if contestant.every == 1:
                contestant.measure()
        began = time.monotonic()
        for number in range(effort.rounds_of(row)):
            if number >= 3 and time.monotonic() - began > row.seconds:
                break
            for contestant in [c for c in contestants if c.name in values and number % c.every == 0]:
                try:
                    values[contestant.name].append(contestant.measure())
                except FailedError as error:
                    if contestant.name == OURS:
                        raise
                    absent.append(Absent(contestant.name, f"it failed in {row.name}: {error}"))
                    del values[contestant.name]
    return Measured(row, values, absent)
