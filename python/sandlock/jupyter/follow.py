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
from collections.abc import Sequence
from dataclasses import replace

from ..audit import Audit
from ..process import Process
from ..result import ExitReason, Result
from ..sandbox import Sandbox
from ..stdio import Input, StdioMode
from .progress import Progress

__all__ = ["follow"]

_TICK = 0.2
"""Seconds between two updates of what is shown besides the output."""


class _Follower:
    def __init__(self, process: Process, timeout: float | None, progress: Progress) -> None:
        self._process = process
        self._end = None if timeout is None else time.monotonic() + timeout
        self._progress = progress
        decoder = codecs.getincrementaldecoder("utf-8")
        self._selector = selectors.DefaultSelector()
        for stream, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            assert stream is not None
            self._selector.register(stream, selectors.EVENT_READ, (decoder("replace"), target))

    def run(self) -> Result:
        """Hand on the output until the end of the tree.

        Raises:
            subprocess.TimeoutExpired: the time is over.
        """
        while self._selector.get_map():
            for key, _ in self._selector.select(self._wait()):
                data = os.read(key.fd, 1 << 16)
                decoder, target = key.data
                target.write(decoder.decode(data, not data))
                target.flush()
                if not data:
                    self._selector.unregister(key.fileobj)
        while not self._process._run.wait(self._wait()):
            pass
        return self._process.wait()

    def _wait(self) -> float:
        """Update what is shown, and return for how long to wait until the next time."""
        self._progress.tick()
        left = float("inf") if self._end is None else self._end - time.monotonic()
        if left <= 0:
            raise subprocess.TimeoutExpired(self._process.args, 0)
        return min(_TICK, left)

    def interrupt(self) -> None:
        """Do as a terminal for the first Ctrl-C, which not every command obeys; kill the tree for another one."""
        if self._progress.interrupted:
            self._process.kill()
        else:
            self._progress.interrupted = True
            self._process._run.signal(signal.SIGINT, group=True)

    def result(self) -> Result:
        """Follow the command to its end, also through interrupts."""
        while True:
            try:
                return self.run()
            except KeyboardInterrupt:
                self.interrupt()
            except subprocess.TimeoutExpired:
                self._process.kill()
                return replace(self._process.wait(), reason=ExitReason.TIMEOUT)

    def close(self) -> None:
        self._selector.close()


def follow(
    box: Sandbox, command: Sequence[str], stdin: Input, timeout: float | None, updates: bool, record: Audit | None
) -> Result:
    """Run a command, its output streamed to sys.stdout and sys.stderr, and return its result at the end of the tree.

    A KeyboardInterrupt goes to the command as SIGINT; a second one kills the tree. Neither is raised here.

    Args:
        timeout: seconds after which the tree is killed.
        updates: whether the frontend can update what it shows.
        record: where to keep, and what to show of, the calls of the command.
    """
    handlers = () if record is None else record.handlers()
    progress = Progress(updates, timeout, record)
    # Leaving the sandbox ends the command, wherever an interrupt comes.
    with box, box.popen(command, stdin, StdioMode.PIPED, StdioMode.PIPED, handlers=handlers) as process:
        with contextlib.closing(_Follower(process, timeout, progress)) as follower:
            result = follower.result()
        if record is not None:
            record.result = result
        progress.end()
        return result
