"""A run that is lost while a handler with a time limit is at work."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import time
from pathlib import Path

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from tests.support.processes import PATIENCE


class _Waiting(Handler):
    handler_timeout = 1000.0

    def __init__(self) -> None:
        self.asked = threading.Event()


class Asynchronous(_Waiting):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.asked.set()
        await asyncio.sleep(1000)
        raise AssertionError


class Synchronous(_Waiting):
    def __init__(self, fd: int) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self._fd = fd

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.asked.set()
        assert self.go_on.wait(PATIENCE)
        return NotifAction.inject_fd_send(self._fd)


def lose(box: Sandbox, handler: _Waiting) -> None:
    process = box.popen(["sh", "-c", "umask"], handlers=[("umask", handler)])
    assert handler.asked.wait(PATIENCE)
    del process
    gc.collect()


def test_an_asynchronous_handler_ends_quietly(box: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        lose(box, Asynchronous())
        gc.collect()
    assert caplog.records == []


def test_the_descriptor_of_a_synchronous_one_is_closed(box: Sandbox, tmp_path: Path) -> None:
    handler = Synchronous(os.open(tmp_path, os.O_RDONLY))
    fd, number = os.fstat(handler._fd), handler._fd
    lose(box, handler)
    handler.go_on.set()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            if not os.path.samestat(os.fstat(number), fd):
                return
        except OSError:
            return
        time.sleep(0.001)  # nothing tells that a descriptor was closed
    raise AssertionError("the descriptor is still open")
