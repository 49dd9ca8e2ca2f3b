"""Answers of every kind, from several threads, in time and late, while runs are killed: nothing is lost or left."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, NotifError, Sandbox, _core
from tests.support.processes import children, open_fds
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import number

EIO = NotifAction.errno(errno.EIO)


class OnPurposeError(Exception):
    pass


class Disorderly(Handler):
    """Does something else at each call."""

    on_exception = EIO

    def __init__(self, seed: int, limit: float | None) -> None:
        self._chance = random.Random(seed)
        self.handler_timeout = limit

    def _answer(self) -> Any:
        kind = self._chance.randrange(10)
        if kind == 0:
            raise OnPurposeError
        if kind == 1:
            return "nonsense"
        if kind == 2:
            return NotifAction.hold()
        if kind == 3:
            return NotifAction.inject_fd(os.open("/dev/null", os.O_RDONLY), 100)
        if kind == 4:
            return NotifAction.inject_fd_send_tracked(Path("/dev/null").open("rb"), on_success=lambda fd: None)
        if kind == 5:
            return NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY))
        if kind == 6:
            return NotifAction.inject_bytes(b"bytes")
        return NotifAction.returns(7) if kind < 9 else NotifAction.continue_()

    def handle(self, ctx: HandlerCtx) -> Any:
        if self._chance.random() < 0.1:
            time.sleep(0.003)  # no event is waited for: it is late for some limits, and for some runs' ends
        return self._answer()


class AsyncDisorderly(Disorderly):
    async def handle(self, ctx: HandlerCtx) -> Any:
        await asyncio.sleep(0.003 if self._chance.random() < 0.1 else 0)
        return self._answer()


class Watching(Disorderly):
    observe = True

    def handle(self, ctx: HandlerCtx) -> Any:
        return NotifAction.continue_() if self._chance.random() < 0.9 else self._answer()

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        if self._chance.random() < 0.05:
            raise OnPurposeError


def answer_held(box: Sandbox, chance: random.Random, over: threading.Event) -> None:
    while not over.is_set():
        for ctx in box.held:
            box.answer(ctx, NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY)))
        over.wait(chance.random() / 200)


def one_run(crowd: Path, seed: int) -> None:
    chance = random.Random(seed)
    box, over = tool_sandbox([crowd], handler_threads=chance.choice([1, 2, 8])), threading.Event()
    limit = chance.choice([None, 0.001, 0.1])
    kinds: list[type[Disorderly]] = chance.choices([Disorderly, AsyncDisorderly, Watching], k=chance.randint(1, 3))
    handlers = [("getppid", kind(seed + i, limit)) for i, kind in enumerate(kinds)]
    helper = threading.Thread(target=answer_held, args=(box, chance, over))
    helper.start()
    try:
        timeout = chance.choice([0.02, 0.1, 30])
        result = box.run([crowd, "8", number("getppid"), "40"], timeout=timeout, handlers=handlers)
    finally:
        over.set()
        helper.join()
    assert result.reason in (ExitReason.EXITED, ExitReason.TIMEOUT)
    kinds_of_errors = {type(failure.exception) for failure in result.handler_errors}
    assert kinds_of_errors <= {OnPurposeError, TypeError, TimeoutError, NotifError}
    if result.reason == ExitReason.EXITED:
        assert len(result.stdout.splitlines()) == 8


@pytest.mark.parametrize("seed", range(4))
def test_disorder(program: Program, caplog: pytest.LogCaptureFixture, seed: int) -> None:
    caplog.set_level(logging.CRITICAL, logger="sandlock")
    crowd = program("crowd")
    one_run(crowd, seed)  # the runtimes take what they keep
    fds, threads = open_fds(), set(threading.enumerate())
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(one_run, crowd, 1000 * seed + i) for i in range(10)]:
            done.result()
    gc.collect()
    assert open_fds() == fds
    assert set(threading.enumerate()) == threads
    assert _core.NumHandles() == 0
    assert children() == set()
    assert caplog.records == []
