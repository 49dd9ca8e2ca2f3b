"""Writing to a command and reading from it at the same time, so that neither waits for the other."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import selectors
import time

__all__ = ["Exchange"]

_CHUNK = 1 << 16


class Exchange:
    """What is still to be written to a command's stdin, and what has come from its outputs."""

    def __init__(
        self,
        stdin: io.BufferedWriter | None,
        stdout: io.BufferedReader | None,
        stderr: io.BufferedReader | None,
        input: bytes,
    ) -> None:
        self._stdin = stdin
        self._rest = memoryview(input)
        self._outputs = (stdout, stderr)
        self._came = (bytearray(), bytearray())

    def run(self, timeout: float | None) -> float | None:
        """Exchange until all streams are at their ends, or the time is over.

        Returns:
            How many seconds are left, negative when the time was over; None without a timeout.
        """
        end = None if timeout is None else time.monotonic() + timeout
        streams = [stream for stream in (self._stdin, *self._outputs) if stream is not None and not stream.closed]
        for stream in streams:
            os.set_blocking(stream.fileno(), False)
        try:
            with selectors.PollSelector() as selector:
                self._register(selector)
                while selector.get_map():
                    left = None if end is None else end - time.monotonic()
                    if left is not None and left < 0:
                        return left
                    for key, _ in selector.select(left):
                        if key.data(key.fd):
                            selector.unregister(key.fd)
        finally:
            for stream in streams:
                if not stream.closed:
                    os.set_blocking(stream.fileno(), True)
        return None if end is None else max(end - time.monotonic(), 0.0)

    def outputs(self) -> tuple[bytes | None, bytes | None]:
        """Return what came from stdout and stderr, None for one that is no pipe."""
        stdout, stderr = (None if stream is None else bytes(came) for stream, came in zip(self._outputs, self._came))
        return stdout, stderr

    def _register(self, selector: selectors.BaseSelector) -> None:
        """Watch what is open. What is ready calls a function, which says whether the stream is at its end."""
        for stream, came in zip(self._outputs, self._came):
            if stream is not None and not stream.closed:
                came += stream.read(len(stream.peek(1)))  # what is in the buffer already
                selector.register(stream.fileno(), selectors.EVENT_READ, functools.partial(_read, stream, came))
        if self._stdin is not None and not self._stdin.closed:
            selector.register(self._stdin.fileno(), selectors.EVENT_WRITE, functools.partial(self._write, self._stdin))

    def _write(self, stdin: io.BufferedWriter, fd: int) -> bool:
        with contextlib.suppress(BlockingIOError):
            try:
                stdin.flush()  # what the caller has written
                if self._rest:
                    self._rest = self._rest[os.write(fd, self._rest[:_CHUNK]) :]
                if self._rest:
                    return False
                stdin.close()
            except BrokenPipeError:  # the command does not want more
                with contextlib.suppress(BrokenPipeError):
                    stdin.close()
            return True
        return False


def _read(stream: io.BufferedReader, came: bytearray, fd: int) -> bool:
    data = os.read(fd, _CHUNK)
    came += data
    if not data:
        stream.close()
    return not data
