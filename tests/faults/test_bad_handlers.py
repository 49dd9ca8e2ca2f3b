"""Handlers that raise, hang, return rubbish and ask for the interpreter's end, in many sandboxes at once.

Each call gets exactly one answer: what the handler noted for it is what the command noted.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, _core
from tests.support.processes import PATIENCE, children, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

SANDBOXES, THREADS, CALLS = 12, 4, 60
EIO = NotifAction.errno(errno.EIO)


class OnPurposeError(Exception):
    pass


def _recurse() -> NoReturn:
    _recurse()


def _exhaust() -> NoReturn:
    bytearray(1 << 62)
    raise AssertionError("there is that much memory")


def _raise(exception: BaseException) -> NoReturn:
    raise exception


FAULTS: dict[str, Any] = {
    "raises": lambda: _raise(OnPurposeError()),
    "rubbish": lambda: random.choice([None, 7, "continue", object(), NotImplemented]),
    "recursion": _recurse,
    "memory": _exhaust,
    "exit": lambda: _raise(SystemExit(3)),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
}
"""What a handler does in the place of an answer, each in one call of twenty."""


HANGING = 7
"""The call whose handler does not come back before its time is over, and the thread has made the next one."""


class Bad(Handler):
    """Returns its number to most calls, and notes what it did."""

    on_exception = EIO
    handler_timeout = 2.0

    def __init__(self, seed: int, faults: list[str]) -> None:
        self._chance = random.Random(seed)
        self._faults = faults
        self._lock = threading.Lock()
        self._goes_on = threading.Event()
        self.noted: dict[int, str] = {}
        self.again = 0

    def _choose(self, number: int) -> str:
        with self._lock:
            self.again += number in self.noted
            draw = int(self._chance.random() * 20)
            what = self._faults[draw] if draw < len(self._faults) else "returns"
            self.noted[number] = what = "hangs" if number == HANGING else what
        if number == HANGING + 1:
            self._goes_on.set()
        return what

    def handle(self, ctx: HandlerCtx) -> Any:
        number = ctx.args[0]
        what = self._choose(number)
        if what == "hangs":
            assert self._goes_on.wait(PATIENCE)
        return FAULTS[what]() if what in FAULTS else NotifAction.returns(number)


class AsyncBad(Bad):
    async def handle(self, ctx: HandlerCtx) -> Any:
        number = ctx.args[0]
        what = self._choose(number)
        await (asyncio.Event().wait() if what == "hangs" else asyncio.sleep(0))
        return FAULTS[what]() if what in FAULTS else NotifAction.returns(number)


def state() -> tuple[set[int], set[int], set[str], int]:
    gc.collect()
    return open_fds(), children(), {thread.name for thread in threading.enumerate()}, _core.NumHandles()


def test_each_call_gets_one_answer(program: Program, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, logger="sandlock")
    command = str(program("tally"))
    tool_sandbox().run(["true"], handlers=[("umask", AsyncBad(0, []))])
    before = state()
    answers: Counter[str] = Counter()

    def run(seed: int) -> None:
        faults = list(FAULTS) if seed % 3 == 0 else list(FAULTS)[:4]
        kind = AsyncBad if seed % 2 and "exit" not in faults else Bad
        handler, folder = kind(seed, faults), tmp_path / str(seed)
        folder.mkdir()
        script = f"exec {command} {THREADS} {CALLS} >{folder}/tally"
        box = tool_sandbox([Path(command).parent], [folder], handler_threads=THREADS + 1)
        try:
            result = box.run(["sh", "-c", script], handlers=[("getpgid", handler)], timeout=PATIENCE)
        except (SystemExit, KeyboardInterrupt):
            assert "exit" in faults
        else:
            failed = sum(what != "returns" for what in handler.noted.values())
            assert (result.success, len(result.handler_errors)) == (True, failed), result
        noted = handler.noted
        assert (len(noted), handler.again) == (THREADS * CALLS, 0)
        told = {}
        for line in (folder / "tally").read_text().splitlines():
            number, *outcome = map(int, line.split())
            told[number] = outcome
        good = {number: [number, 0] if what == "returns" else [-1, errno.EIO] for number, what in noted.items()}
        assert told == good
        answers.update(noted.values())

    with ThreadPoolExecutor(SANDBOXES) as pool:
        list(pool.map(run, range(SANDBOXES)))
    print(f"{sum(answers.values())} calls: {dict(answers)}")
    assert answers.keys() == {*FAULTS, "hangs", "returns"}
    assert state() == before
