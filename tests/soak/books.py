"""The host's books about the calls of one sandbox, and the child's, which must agree."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sandlock import Result

from .answers import Kind, WantedError

__all__ = ["Books", "record_size"]

_RECORD = struct.Struct(f"={4 + len(Kind)}Q")
_EXPECTED = (WantedError, TypeError, TimeoutError)  # the second is what rubbish becomes


def record_size(threads: int) -> int:
    """Return how long the child's file must be."""
    return threads * _RECORD.size


@dataclass(frozen=True)
class Record:
    """What a thread of the child has noted; struct record of tests/programs/ledger.c."""

    made: int
    """Calls that it was about to make."""
    answered: int
    """Those that came back."""
    interrupted: int
    """How often a signal came before anybody saw the call, which was then made again."""
    wrong: int
    """Answers that did not fit."""
    got: tuple[int, ...]
    """Answers that did, by kind."""


class Books:
    """What handlers were asked and observers told, by thread of the child. A thread makes one call at a time."""

    def __init__(self, threads: int, calls: int) -> None:
        # By number, from 1: a handler that is late may note its call when the child has made the next one.
        self._seen = [bytearray(calls + 1) for _ in range(threads)]
        self._gave = [[0] * len(Kind) for _ in range(threads)]
        self._observed = [0] * threads
        self._told = [0] * threads
        self._twice: list[tuple[int, int]] = []

    def asked(self, thread: int, number: int, kind: int) -> None:
        if self._seen[thread][number]:
            self._twice.append((thread, number))
        self._seen[thread][number] = 1
        self._gave[thread][kind] += 1

    def observed(self, thread: int) -> None:
        self._observed[thread] += 1

    def told(self, thread: int) -> None:
        self._told[thread] += 1

    def balance(self, file: bytes, result: Result | None, ended: bool) -> tuple[int, list[str]]:
        """Compare the books.

        Args:
            file: the child's.
            result: what is left of the command, where somebody asked for it.
            ended: whether the child came to its end by itself; else each thread may have been killed in a call.

        Returns:
            How many calls were answered, and what does not agree.
        """
        records = [Record(a, b, c, d, tuple(got)) for a, b, c, d, *got in _RECORD.iter_unpack(file)]
        wrong = [f"call {number} of thread {thread} was asked about twice" for thread, number in self._twice]
        for thread, record in enumerate(records):
            wrong += [f"thread {thread}: {problem}" for problem in self._compare(thread, record, int(not ended))]
        if result is not None:
            lates = sum(record.got[Kind.LATE] for record in records)
            wrong += self._compare_failures(result, lates, 0 if ended else len(records))
        return sum(record.answered for record in records), wrong

    def _compare(self, thread: int, record: Record, open: int) -> Iterator[str]:
        """Compare what is known of a thread, of which so many calls may be neither answered nor not."""
        gave, late = self._gave[thread], record.got[Kind.LATE]
        if record.wrong:
            yield f"{record.wrong} answers did not fit"
        if not 0 <= record.made - record.answered <= open:
            yield f"{record.made} calls, {record.answered} answers"
        # A call whose time is over before a worker is free is seen by nobody.
        if not record.answered - late <= sum(gave) <= record.made:
            yield f"{record.answered} answers to {record.made} calls, handlers saw {sum(gave)}, {late} were late"
        for kind in set(Kind) - {Kind.LATE, Kind.KILL}:
            if not 0 <= gave[kind] - record.got[kind] <= late + open:
                yield f"{kind.name}: handlers gave {gave[kind]}, the child got {record.got[kind]}, {late} were late"
        if not 0 <= self._observed[thread] - self._told[thread] <= open:
            yield f"observers saw {self._observed[thread]} calls, and learned of {self._told[thread]} answers"

    def _compare_failures(self, result: Result, lates: int, open: int) -> Iterator[str]:
        errors = [failure.exception for failure in result.handler_errors]
        for error in errors:
            if not isinstance(error, _EXPECTED):
                yield f"a handler failed: {error!r}"
        expired = sum(isinstance(error, TimeoutError) for error in errors)
        if not 0 <= expired - lates <= open:
            yield f"{expired} handlers were late, the child knows of {lates}"
        failed = len(errors) + result.more_handler_errors - expired
        wanted = sum(gave[Kind.RAISE] + gave[Kind.RUBBISH] for gave in self._gave)
        if not 0 <= wanted - failed <= open:
            yield f"{wanted} handlers were to fail, {failed} did"
        if len(result.held) > open:
            yield f"{len(result.held)} calls are still held"
