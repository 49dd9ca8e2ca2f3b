"""A terminal on which a test runs a host process, as its user would."""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import os
import select
import struct
import subprocess
import termios
from types import TracebackType
from typing import Any

from tests.support.processes import PATIENCE, host_command, host_environment


class Screen:
    """A host process on a terminal, and who sits there."""

    def __init__(self, script: str, *arguments: object, **options: Any) -> None:
        self._master, self._slave = os.openpty()
        self.resize(24, 80)
        self.seen = b""
        options = {"stdin": self._slave, "stdout": self._slave, "stderr": self._slave, **options}
        self.host = subprocess.Popen(
            host_command(script, *arguments),
            env=host_environment(PS1="$ ", TERM="dumb"),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            **options,
        )

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def set(self, settings: list[Any]) -> None:
        """Do as a shell does that takes the terminal back from the host, which it has stopped."""
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)

    def expect(self, words: str) -> str:
        """Wait until words appear on the screen, and return what came before them."""
        while words.encode() not in self.seen:
            assert self._more(), f"no {words!r} came; so far: {self.seen!r}"
        before, _, self.seen = self.seen.partition(words.encode())
        return before.decode()

    def end(self) -> int:
        """Wait for the host's end and return its status; :attr:`seen` has what it left on the screen."""
        watched = os.pidfd_open(self.host.pid)
        try:
            while watched not in self._ready(watched):
                self._more()
        finally:
            os.close(watched)
        while self._master in self._ready(timeout=0):
            self._more()
        return self.host.wait(PATIENCE)

    def hang_up(self) -> None:
        os.close(self._slave)
        os.close(self._master)
        self._slave = self._master = -1

    def _ready(self, *more: int, timeout: float = PATIENCE) -> list[int]:
        ready, _, _ = select.select([self._master, *more], [], [], timeout)
        assert ready or not timeout, f"nothing happens; so far: {self.seen!r}"
        return ready

    def _more(self) -> bool:
        if self._master not in self._ready():
            return False
        data = os.read(self._master, 1 << 16)
        self.seen += data
        return bool(data)

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: builtins.type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.host.kill()
        self.host.wait()
        for fd in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)
