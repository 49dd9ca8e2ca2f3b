"""One sandbox of the soak: its run, and what happens to it."""

from __future__ import annotations

import contextlib
import gc
import math
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from sandlock import ExitReason, Process, Result, StdioMode
from tests.support.processes import PATIENCE, Watched
from tests.support.sandboxes import tool_sandbox

from .answers import handlers, release
from .books import Books, record_size

__all__ = ["Outcome", "soak"]

_FATES = {"ends": 90, "is killed": 8, "is lost": 2}  # what becomes of how many of a hundred
_TICK = 0.01  # seconds between two looks at what is held
_PAUSES, _SIGNALS = 0.01, 0.05  # how often either happens in a tick


@dataclass
class Outcome:
    """What became of a sandbox."""

    seed: int
    fate: str
    answered: int = 0
    """Calls."""
    wrong: list[str] = field(default_factory=list)


def soak(program: Path, folder: Path, calls: int, seed: int) -> Outcome:
    """Run a child that makes so many calls, with everything that may happen to it. The seed chooses."""
    chance = random.Random(seed)
    threads = chance.randint(1, 4)
    fate = chance.choices(list(_FATES), list(_FATES.values()))[0]
    each = max(1, calls // threads)
    books = Books(threads, each)
    file, log = folder / f"{seed}.book", folder / f"{seed}.log"
    file.write_bytes(bytes(record_size(threads)))
    with log.open("wb") as errors:
        process = tool_sandbox([program], [file], name=f"soak-{seed}", handler_threads=4).popen(
            [str(program), str(file), str(threads), str(each), str(seed)],
            stdin=StdioMode.NULL,
            stdout=StdioMode.NULL,
            stderr=errors,
            handlers=handlers(books),
        )
    hangs = _tend(process, file, chance, math.inf if fate == "ends" else chance.random() * 0.3)
    outcome = Outcome(seed, fate)
    result = None
    if fate == "is lost":
        with contextlib.ExitStack() as stack:
            watched = stack.enter_context(Watched(process.pid)) if process.pid and process.poll() is None else None
            del process
            gc.collect()
            if watched is not None and not watched.gone():
                outcome.wrong.append("it outlives the last reference to its process")
    else:
        process.kill()
        result = process.wait(PATIENCE)
        outcome.wrong += _judge(result, outcome, hangs)
    ended = result is not None and result.reason == ExitReason.EXITED
    outcome.answered, problems = books.balance(file.read_bytes(), result, ended)
    outcome.wrong += [*problems, *log.read_text().splitlines()]
    file.unlink()
    log.unlink()
    return outcome


def _tend(process: Process, book: Path, chance: random.Random, seconds: float) -> bool:
    """Answer what is held and disturb the child, until it ends or the time is over; True where it does not go on."""
    start = news = time.monotonic()
    noted = book.read_bytes()
    while process.poll() is None and (now := time.monotonic()) < start + seconds:
        for ctx in process.held:
            process.answer(ctx, release(ctx))
        if noted != (noted := book.read_bytes()):
            news = now
        if now > news + PATIENCE:
            return True
        if any(noted) and chance.random() < _SIGNALS:  # before its first call a signal would end it
            process.send_signal(chance.choice([signal.SIGUSR1, signal.SIGUSR2]))
        if chance.random() < _PAUSES:
            process.pause()
            time.sleep(_TICK)
            process.resume()
        time.sleep(_TICK)
    return False


def _judge(result: Result, outcome: Outcome, hangs: bool) -> list[str]:
    """Say what is wrong with how a child ended."""
    if hangs:
        return [f"a call was not answered: {result}"]
    if result.success:
        return []
    if result.signal == signal.SIGKILL and result.reason in (ExitReason.KILLED, ExitReason.SIGNALED):
        outcome.fate = "is killed"  # by the answer of a handler, unless it was to be anyway
        return []
    return [f"an unexpected end: {result}"]
