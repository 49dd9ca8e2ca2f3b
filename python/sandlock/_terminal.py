"""The host's standard streams for a command; where they are a terminal, by way of one of the command's own."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import os
import select
import signal
import termios
import threading
import time
import tty
import weakref
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from ._footer import Footer, Lines
from ._threads import TICK
from .exceptions import SandboxError
from .stdio import Stdio, held

if TYPE_CHECKING:
    from ._run import Run
    from .result import Result

__all__ = ["interact"]

_KEYBOARD = 0
_CHUNK = 1 << 16
_REDRAW = 0.2
"""Seconds after which the lines of a footer are drawn anew."""
# What ends the host unless it says otherwise, so that nothing of Python's would give the terminal back.
_DEADLY = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)

_opened = functools.partial(io.FileIO, mode="r+")


def interact(start: Callable[[Stdio], Run], footer: Lines | None = None) -> Result:
    """Run a command with the host's standard streams to its end.

    Args:
        start: starts it with the streams that it is given.
        footer: lines to show below its output meanwhile, where stdin is a terminal.
    """
    terminal = _Terminal(footer) if _has_terminal() else None
    run = start(held(None, None, None) if terminal is None else terminal.stdio())
    try:
        if terminal is not None:
            terminal.lend(run)
        result = run.finish()
    finally:
        run.close()
        if terminal is not None:
            terminal.close()
    if result.error is not None:
        with contextlib.suppress(OSError):  # closed
            os.write(2, result.stderr)
    return result


def _has_terminal() -> bool:
    """Say whether stdin is a terminal that the host may use: a shell's job in the background would be stopped."""
    try:
        return os.tcgetpgrp(_KEYBOARD) == os.getpgrp()
    except OSError:  # ENOTTY: none, or not that of the host's session
        return False


class _Terminal:
    """A pseudoterminal for a command, see pty(7), and the host's terminal: what comes from either goes to the other.

    The host's own passes every key on as it is, until this object is lost, the interpreter ends or a signal ends it.
    """

    def __init__(self, footer: Lines | None) -> None:
        try:
            self._own, self._theirs = map(_opened, os.openpty())
        except OSError as error:
            raise SandboxError(f"make a terminal for the command: {error}") from error
        self._screen = next((fd for fd in (1, 2) if os.isatty(fd)), _KEYBOARD)
        self._attributes = termios.tcgetattr(_KEYBOARD)
        self._undo: list[weakref.finalize[Any, _Terminal]] = []
        self._footer = None if footer is None else Footer(footer)
        self._redraw = 0.0
        termios.tcsetattr(self._theirs, termios.TCSANOW, self._attributes)

    def stdio(self) -> Stdio:
        """Return the command's terminal in the place of the host's."""
        fd = self._theirs.fileno()
        return Stdio(fd, fd if os.isatty(1) else 1, fd if os.isatty(2) else 2, terminal=True)

    def lend(self, run: Run) -> None:
        """Copy until the command has ended or closed its terminal. Pass it on when the host's hangs up."""
        ended, end = map(_opened, os.pipe())
        try:
            run.serve(end.close)
            self._theirs.close()
            self._take()
            self._copy(ended)
        except KeyboardInterrupt:
            self._give_back()
            run.interrupt()
            raise
        finally:
            if self._footer is not None:
                self._write(self._footer.hidden())
            self._give_back()
            ended.close()

    def close(self) -> None:
        """Close the command's terminal, which ends those who still use it."""
        self._own.close()
        self._theirs.close()

    def _take(self) -> None:
        self._undo.append(weakref.finalize(self, termios.tcsetattr, _KEYBOARD, termios.TCSANOW, self._attributes))
        if threading.current_thread() is threading.main_thread():  # handlers can only be set there
            own, attributes = self._own, self._attributes  # no handler may refer to this object
            for number in (signal.SIGWINCH, signal.SIGCONT):
                self._handle(number, _follower(own, signal.getsignal(number)))
            for number in _DEADLY:
                if signal.getsignal(number) is signal.SIG_DFL:
                    self._handle(number, _last_act(attributes))
        tty.setraw(_KEYBOARD, termios.TCSANOW)
        _copy_size(self._own)

    def _handle(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        before = signal.getsignal(number)
        if before is not None:  # else it is not Python's, which could not put it back
            self._undo.append(weakref.finalize(self, signal.signal, number, before))
            signal.signal(number, handler)

    def _give_back(self) -> None:
        for undo in reversed(self._undo):
            with contextlib.suppress(termios.error):  # hung up
                undo()

    def _copy(self, ended: io.FileIO) -> None:
        """Copy. A terminal that nobody has open is kept: its end would kill a command that is just about to exit."""
        own = self._own.fileno()
        os.set_blocking(own, False)
        typed = b""  # and not yet taken
        while True:
            self._draw()
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.register(own, select.POLLIN | (select.POLLOUT if typed else 0))
            if not typed:
                poll.register(_KEYBOARD, select.POLLIN)
            ready = dict(poll.poll(TICK * 1000))
            with contextlib.suppress(BlockingIOError):
                if own in ready and ready[own] & ~select.POLLOUT and not self._show():
                    return
                if _KEYBOARD in ready:
                    typed = _read(_KEYBOARD)
                    if not typed:
                        self.close()
                        return
                if typed:
                    typed = typed[os.write(own, typed) :]
            if ended.fileno() in ready:
                with contextlib.suppress(BlockingIOError):
                    while self._show():  # what was written last
                        pass
                return

    def _show(self) -> bool:
        """Copy what the command has written; False when nobody can write any more, or nobody can read it."""
        data = _read(self._own.fileno())
        return bool(data) and self._write(data if self._footer is None else self._footer.above(data))

    def _draw(self) -> None:
        """Show the footer, unless the command takes every key itself, as what draws the whole screen does."""
        if self._footer is None or time.monotonic() < self._redraw:
            return
        self._redraw = time.monotonic() + _REDRAW
        with contextlib.suppress(OSError, termios.error):  # hung up
            if termios.tcgetattr(self._own)[3] & termios.ICANON:
                self._write(self._footer.shown(os.get_terminal_size(self._screen).columns))

    def _write(self, data: bytes) -> bool:
        """Write to the host's terminal; False when it has hung up."""
        while data:
            try:
                data = data[os.write(self._screen, data) :]
            except BlockingIOError:
                select.select([], [self._screen], [])
            except OSError:
                self.close()
                return False
        return True


def _read(fd: int) -> bytes:
    """Return what can be read from a terminal, nothing once the other side has hung up."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        raise
    except OSError:  # EIO
        return b""


def _copy_size(own: io.FileIO) -> None:
    """Give the command's terminal the size of the host's; the kernel tells its foreground job. See ioctl_tty(2)."""
    with contextlib.suppress(OSError, ValueError):  # hung up, closed
        fcntl.ioctl(own, termios.TIOCSWINSZ, fcntl.ioctl(_KEYBOARD, termios.TIOCGWINSZ, bytes(8)))


def _follower(own: io.FileIO, before: Any) -> Callable[[int, FrameType | None], None]:
    def follow(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGCONT:  # a shell that has stopped the host has changed its terminal meanwhile
            with contextlib.suppress(termios.error):
                tty.setraw(_KEYBOARD, termios.TCSANOW)
        _copy_size(own)
        if callable(before):
            before(number, frame)

    return follow


def _last_act(attributes: list[Any]) -> Callable[[int, FrameType | None], None]:
    def end(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(_KEYBOARD, termios.TCSANOW, attributes)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return end
