"""Follows a command from a cell: its output as it comes, its time, and Ctrl-C."""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Callable

from ..process import Process
from ..result import ExitReason, Result

__all__ = ["follow"]

_TICK = 0.2
"""Seconds between two updates of what is shown besides the output."""


class _Follower:
    def __init__(self, process: Process, timeout: float | None, tick: Callable[[], None]) -> None:
        self._process = process
        self._end = None if timeout is None else time.monotonic() + timeout
        self._tick = tick
        decoder = codecs.getincrementaldecoder("utf-8")
        self._selector = selectors.DefaultSelector()
        for stream, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, (decoder("replace"), target))

    def run(self) -> None:
        """Hand on the output until the end of the tree.

        Raises:
            subprocess.TimeoutExpired: the time is over.
        """
        while self._selector.get_map():
            for key, _ in self._selector.select(min(_TICK, self._left())):
                data = os.read(key.fd, 1 << 16)
                decoder, target = key.data
                target.write(decoder.decode(data, not data))
                target.flush()
                if not data:
                    self._selector.unregister(key.fileobj)
            self._tick()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(_TICK, self._left()))
                return

    def _left(self) -> float:
        left = float("inf") if self._end is None else self._end - time.monotonic()
        if left <= 0:
            raise subprocess.TimeoutExpired(self._process.args, 0)
        return left

    def close(self) -> None:
        self._selector.close()


def follow(process: Process, timeout: float | None, tick: Callable[[], None] = lambda: None) -> Result:
    """Stream the output of a command, whose stdout and stderr are pipes, and return its result at the end of the tree.

    A KeyboardInterrupt goes to the command as SIGINT; a second one kills the tree. Neither is raised here.

    Args:
        timeout: seconds after which the tree is killed.
        tick: called several times a second.
    """
    follower = _Follower(process, timeout, tick)
    interrupts = 0
    with process, contextlib.closing(follower):
        while True:
            try:
                follower.run()
                return process.wait()
            except KeyboardInterrupt:
                interrupts += 1
                if interrupts == 1:
                    process.send_signal(signal.SIGINT)
                else:
                    process.kill()
            except subprocess.TimeoutExpired:
                process.kill()
                result = process.wait()
                result.reason = ExitReason.TIMEOUT
                return result
