"""A command that runs beside the host, as apopen gives it to programs of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from ._request import Command
from ._run import Run
from .process import Controls, check_input

if TYPE_CHECKING:
    from .result import Result

__all__ = ["AsyncProcess"]


class _Reader(asyncio.StreamReader):
    run: Run  # who reads wants the command to live


class _Writer(asyncio.StreamWriter):
    run: Run


class AsyncProcess(Controls):
    """A command that runs, with the methods and streams of :class:`asyncio.subprocess.Process`.

    Losing the last reference to it, and to its streams, ends the command. As an asynchronous context manager it closes
    the streams and waits for the end; an exception kills the command first.
    """

    stdin: asyncio.StreamWriter | None = None
    """Where to write what the command reads, with ``stdin=StdioMode.PIPED``."""
    stdout: asyncio.StreamReader | None = None
    """What the command writes to stdout, with ``stdout=StdioMode.PIPED``: bytes; iterating gives lines."""
    stderr: asyncio.StreamReader | None = None
    """What the command writes to stderr, with ``stderr=StdioMode.PIPED``."""

    def __init__(self, run: Run, args: Command, piped: Sequence[int]) -> None:
        super().__init__(run, args)
        self._pipes = {number: io.FileIO(_descriptor(run, number), "r" if number else "w") for number in piped}
        self._transports: list[asyncio.BaseTransport] = []
        self._over = run.aserve()  # now that the end of the command finds its streams taken

    async def connect(self) -> None:
        """Open the streams."""
        try:
            if 0 in self._pipes:
                self.stdin = await self._writer(self._pipes[0])
            if 1 in self._pipes:
                self.stdout = await self._reader(self._pipes[1])
            if 2 in self._pipes:
                self.stderr = await self._reader(self._pipes[2])
        except BaseException:
            self.kill()
            self._close_streams()
            raise

    async def _reader(self, pipe: io.FileIO) -> asyncio.StreamReader:
        loop, reader = asyncio.get_running_loop(), _Reader()
        reader.run = self._run
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        self._transports.append(transport)
        return reader

    async def _writer(self, pipe: io.FileIO) -> asyncio.StreamWriter:
        loop, unused = asyncio.get_running_loop(), asyncio.StreamReader()
        transport, protocol = await loop.connect_write_pipe(lambda: asyncio.StreamReaderProtocol(unused), pipe)
        self._transports.append(transport)
        writer = _Writer(transport, protocol, unused, loop)
        writer.run = self._run
        return writer

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative number of the signal that ended the command; None while it runs."""
        result = self.poll()
        if result is None:
            return None
        return -result.signal if result.signal > 0 else result.exit_code

    def poll(self) -> Result | None:
        """Return the result, or None while something of the tree runs."""
        return self._run.finish() if self._over.is_set() else None

    async def wait(self) -> Result:
        """Wait for the end of the tree and return the result, which has no output of pipes.

        A command that fills a pipe waits for a reader: use :meth:`communicate` then. A cancellation leaves it running.

        Raises:
            BaseException: what a handler raised that is no Exception.
        """
        await self._over.wait()
        return await self._run.afinish(self._over)

    async def communicate(self, input: bytes | None = None) -> tuple[bytes | None, bytes | None]:
        """Write ``input`` to stdin, close it, read the other streams to their ends, and wait for the end of the tree.

        Returns:
            What came from stdout and stderr; None for one that is no pipe of this process.
        """
        check_input(input, self.stdin)
        stdout, stderr, _ = await asyncio.gather(_rest(self.stdout), _rest(self.stderr), self._feed(input or b""))
        await self.wait()
        return stdout, stderr

    async def _feed(self, data: bytes) -> None:
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the command does not want more
                self.stdin.write(data)
                await self.stdin.drain()
            self.stdin.close()

    def _close_streams(self) -> None:
        for transport in self._transports:
            transport.close()

    async def __aenter__(self) -> AsyncProcess:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is not None:
            self.kill()
        self._close_streams()
        await self.wait()

    def __repr__(self) -> str:
        return f"<AsyncProcess {self.pid} {self.args!r}>"


def _descriptor(run: Run, number: int) -> int:
    fd = run.take_stream(number)
    if fd >= 0:
        return fd
    ends = os.pipe()  # of a command that was not found: the other end is closed
    fd = ends[1 if number == 0 else 0]
    os.close(ends[0 if number == 0 else 1])
    return fd


async def _rest(stream: asyncio.StreamReader | None) -> bytes | None:
    return None if stream is None else await stream.read()
