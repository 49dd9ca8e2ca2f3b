"""A command that runs beside the host, as popen gives it."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from ._chain import check_timeout
from ._exchange import Exchange
from ._request import Command
from ._run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typing_extensions import Buffer

    from .actions import NotifAction
    from .context import HandlerCtx
    from .result import Result

__all__ = ["Controls", "Process", "Reader", "Writer", "check_input"]


class Reader(io.BufferedReader):
    """What the command writes. It can be iterated over by lines, and ends when the last of the tree is gone."""

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(io.FileIO(_descriptor(run, number), "r"))
        self._run: Run | None = run  # who reads wants the command to live

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._run = None  # warnings of a lost reader keep it, not the command


class Writer(io.BufferedWriter):
    """What the command reads: each write is handed on at once. Close it to let the command see the end."""

    def __init__(self, run: Run, number: int) -> None:
        super().__init__(io.FileIO(_descriptor(run, number), "w"))
        self._run: Run | None = run

    def write(self, data: Buffer, /) -> int:
        written = super().write(data)
        self.flush()  # who then reads an answer would wait for ever
        return written

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._run = None


def _descriptor(run: Run, number: int) -> int | str:
    fd = run.take_stream(number)
    return fd if fd >= 0 else "/dev/null"  # of a command that was not found


class Controls:
    """What can be done to a command that was started, in a synchronous and in an asynchronous program."""

    def __init__(self, run: Run, args: Command) -> None:
        self._run = run
        self.args = list(args)
        """The command."""
        self.pid = run.pid or None
        """The process ID of the command, or None when it was not found."""

    def send_signal(self, number: int) -> None:
        """Send a signal to the command, if it still runs. SIGKILL ends the whole tree, as :meth:`kill` does."""
        number = check_signal(number)
        if number == signal.SIGKILL:
            self.kill()
        else:
            self._run.signal(number)

    def terminate(self) -> None:
        """Ask the command to end, by SIGTERM."""
        self._run.signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the whole tree, if something of it still runs."""
        self._run.kill()

    def pause(self) -> None:
        """Stop every process of the tree, by SIGSTOP."""
        self._run.pause(True)

    def resume(self) -> None:
        """Let every process of the tree go on, by SIGCONT."""
        self._run.pause(False)

    @property
    def held(self) -> list[HandlerCtx]:
        """The calls that a handler holds."""
        return self._run.held()

    def answer(self, call: HandlerCtx | int, action: NotifAction) -> bool:
        """Answer a call that a handler holds, as :meth:`Sandbox.answer` does."""
        return self._run.answer(call, action)


class Process(Controls):
    """A command that runs. Losing the last reference to it, and to its streams, ends the command.

    As a context manager it closes the streams and waits for the end; an exception kills the command first.
    """

    def __init__(self, run: Run, args: Command, piped: Sequence[int]) -> None:
        super().__init__(run, args)
        self._lock = threading.Lock()
        self._interrupted = False
        self.stdin = Writer(run, 0) if 0 in piped else None
        """Where to write what the command reads, with ``stdin=StdioMode.PIPED``."""
        self.stdout = Reader(run, 1) if 1 in piped else None
        """What the command writes to stdout, with ``stdout=StdioMode.PIPED``."""
        self.stderr = Reader(run, 2) if 2 in piped else None
        """What the command writes to stderr, with ``stderr=StdioMode.PIPED``."""
        self._exchange: Exchange | None = None
        run.serve()

    def poll(self) -> Result | None:
        """Return the result, or None while something of the tree runs."""
        return self._result() if self._run.wait(0) else None

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end of the tree and return the result, which has no output of pipes.

        A command that fills a pipe waits for a reader: use :meth:`communicate` then. A KeyboardInterrupt is passed on
        to the command as a SIGINT, since a terminal does not reach it.

        Raises:
            subprocess.TimeoutExpired: it runs on after ``timeout`` seconds.
            BaseException: what a handler raised that is no Exception.
        """
        timeout = check_timeout("timeout", timeout)
        with self._passing_on():
            if not self._run.wait(timeout):
                self._expire(timeout)
        return self._result()

    def communicate(
        self, input: bytes | None = None, timeout: float | None = None
    ) -> tuple[bytes | None, bytes | None]:
        """Write ``input`` to stdin, close it, read the other streams to their ends, and wait for the end of the tree.

        Returns:
            What came from stdout and stderr; None for one that is no pipe of this Process.

        Raises:
            subprocess.TimeoutExpired: it runs on after ``timeout`` seconds. Call again to go on; nothing is lost.
        """
        timeout = check_timeout("timeout", timeout)
        check_input(input, self.stdin)
        if self._exchange is None:
            self._exchange = Exchange(self.stdin, self.stdout, self.stderr, bytes(input or b""))
        elif input:
            raise ValueError("input: it was given to the first call of communicate already")
        with self._passing_on():
            left = self._exchange.run(timeout)
            if (left is not None and left < 0) or not self._run.wait(left):
                self._expire(timeout)
        self._result()
        return self._exchange.outputs()

    def _expire(self, timeout: float | None) -> None:
        import subprocess  # here, because it takes long

        assert timeout is not None
        raise subprocess.TimeoutExpired(self.args, timeout)

    @contextlib.contextmanager
    def _passing_on(self) -> Iterator[None]:
        """Pass a Ctrl-C on to the command, once."""
        self._interrupted = False
        try:
            yield
        except KeyboardInterrupt:
            self._interrupted = True
            self._run.interrupt()
            raise

    def _result(self) -> Result:
        with self._lock:
            return self._run.finish()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(value, KeyboardInterrupt) and not self._interrupted:
                self._run.interrupt()
        finally:
            if value is not None:
                self.kill()
            for stream in (self.stdin, self.stdout, self.stderr):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
            self.wait()

    def __repr__(self) -> str:
        return f"<Process {self.pid} {self.args!r}>"


def check_input(input: object, stdin: object) -> None:
    """Check what communicate is given."""
    if input is not None and not isinstance(input, (bytes, bytearray, memoryview)):
        raise TypeError(f"input must be bytes, not {type(input).__name__}")
    if input and stdin is None:
        raise ValueError("input: stdin is no pipe; start the command with stdin=StdioMode.PIPED")


def check_signal(number: object) -> int:
    """Return the number of a signal."""
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"signal must be a number, such as signal.SIGTERM, not {number!r}")
    if number not in signal.valid_signals():
        raise ValueError(f"signal: {number} is no signal of this system")
    return int(number)
