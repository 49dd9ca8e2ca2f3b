"""The slow calls of a command: those in which its threads sleep.

An audit sees a call when it begins, not when it ends. So the kernel's records of the threads are looked at again and
again (proc_pid_schedstat and proc_pid_syscall in proc(5)): a thread that has not run between two looks has slept in one
and the same call. What is measured is that sleep, from the first such look to the last. It is never more than the call
took; a call that is shorter than two looks apart, or works without sleeping, is not seen.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .._syscalls import name_of
from .._threads import Thread, start

__all__ = ["PERIOD", "SlowCall", "SlowCalls"]

PERIOD = 0.02
"""Seconds between two looks, if they do not take long themselves."""

_SHARE = 20  # Looking takes a twentieth of the time at most.


@dataclass(frozen=True)
class SlowCall:
    """A call in which a thread has slept."""

    syscall: str
    pid: int
    """The thread."""
    program: str
    """What the thread is called, see proc_pid_comm(5)."""
    at: float
    """When the sleep was seen first, by :func:`time.monotonic`."""
    seconds: float = 0.0


@dataclass
class _Thread:
    runs: bytes
    """How often it was given a CPU."""
    since: float
    call: SlowCall | None = None


class SlowCalls:
    """Looks at the processes that this one has started, on a thread of its own, until :meth:`stop`.

    Args:
        pid: the command; what else this process has started is left out, but not what that has started.
    """

    def __init__(self, pid: int) -> None:
        self.seen: list[SlowCall] = []
        """The calls that are over, and after :meth:`stop` all."""
        self._pid = pid
        self._threads: dict[int, _Thread] = {}
        self._over = threading.Event()
        self._thread = Thread(target=self._watch, name="sandlock-slow")
        start(self._thread)

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        period = PERIOD
        while not self._over.wait(period):
            began = time.monotonic()
            self._look(set(_threads_below(os.getpid(), self._pid)))
            period = max(PERIOD, (time.monotonic() - began) * _SHARE)
        self._look(set())

    def _look(self, threads: set[int]) -> None:
        for gone in self._threads.keys() - threads:
            self._end(self._threads.pop(gone))
        for number in threads:
            before = self._threads.get(number)
            with contextlib.suppress(OSError):  # it is gone
                runs, now = _runs(number), time.monotonic()
                if before is None or runs != before.runs:
                    self._threads[number] = _Thread(runs, now)
                    if before is not None:
                        self._end(before)
                elif before.call is None:
                    before.call = _call(number, before)
                else:
                    before.call = replace(before.call, seconds=now - before.since)

    def _end(self, thread: _Thread) -> None:
        if thread.call is not None and thread.call.seconds > 0:
            self.seen.append(thread.call)


def _call(number: int, thread: _Thread) -> SlowCall | None:
    """Return the call in which a thread sleeps; None if it has run since it was looked at."""
    with open(f"/proc/{number}/syscall") as file:
        syscall = file.read().split()[0]
    with open(f"/proc/{number}/comm", errors="surrogateescape") as file:
        program = file.read().rstrip("\n")
    if not syscall.isdigit() or _runs(number) != thread.runs:
        return None
    return SlowCall(name_of(int(syscall)), number, program, thread.since)


def _runs(number: int) -> bytes:
    with open(f"/proc/{number}/schedstat", "rb") as file:
        return file.read().split()[2]


def _threads_below(host: int, command: int) -> Iterator[int]:
    """Yield the threads of a command and its descendants; between it and this process may be one that guards it."""
    for child in _children(host):
        if child == command:
            yield from _tasks(child)
        yield from _descendants(child)


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield from _tasks(child)
        yield from _descendants(child)


def _tasks(pid: int) -> Iterable[int]:
    with contextlib.suppress(OSError):
        return list(map(int, os.listdir(f"/proc/{pid}/task")))
    return ()


def _children(pid: int) -> Iterator[int]:
    for task in _tasks(pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
            yield from map(int, file.read().split())
