"""Who owns the file descriptor of an answer, and how it is closed exactly once."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol

from .exceptions import SandboxError

__all__ = ["BytesSource", "DescriptorSource", "Source"]

_MAX_FD = 2**31 - 1


class Source(Protocol):
    """Where the descriptor of an answer comes from."""

    def take(self) -> int:
        """Return the descriptor. From here on :meth:`close` must be called, once. A second take is an error."""
        ...

    def close(self) -> None:
        """Close the descriptor."""
        ...


class NotADescriptorError(TypeError, ValueError):
    """The value is neither a file descriptor nor has one."""


class _Number:
    """What the answers of this process know about one descriptor number: one file after the other has it."""

    __slots__ = ("_lock", "_use")

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a close may run the code of a file object
        self._use: object | None = object()  # None while an answer owns the descriptor

    def use(self) -> object | None:
        """Return what stands for the present use of the number."""
        with self._lock:
            return self._use

    def own(self, use: object | None, is_the_same: Callable[[], bool]) -> bool:
        """Take the descriptor for an answer, if the number still has the same use."""
        with self._lock:
            if use is None or use is not self._use or not is_the_same():
                return False
            self._use = None
            return True

    def close(self, close: Callable[[], object]) -> None:
        with self._lock:  # who makes an answer meanwhile waits until it is clear whether its descriptor is the next one
            try:
                close()
            finally:
                self._use = object()


_numbers: dict[int, _Number] = {}
os.register_at_fork(after_in_child=_numbers.clear)  # the locks may have been taken


def _number(fd: int) -> _Number:
    return _numbers.setdefault(fd, _Number())


class DescriptorSource:
    """A descriptor of the user's, which the answer takes over when it is given.

    The number alone is not trusted: when another file has it by then, the user's is gone, and the other one is
    somebody else's.
    """

    def __init__(self, name: str, source: Any) -> None:
        has_fileno = not isinstance(source, type) and callable(getattr(source, "fileno", None))
        if isinstance(source, bool) or not (isinstance(source, int) or has_fileno):
            raise NotADescriptorError(f"{name} must be a file descriptor or have fileno(), not {source!r}")
        self._owner = None if isinstance(source, int) else source
        fd = source if self._owner is None else self._owner.fileno()
        if isinstance(fd, bool) or not isinstance(fd, int):
            raise NotADescriptorError(f"{name}: fileno() returned {fd!r}, which is no file descriptor")
        if not 0 <= fd <= _MAX_FD:
            raise ValueError(f"{name} must be from 0 to {_MAX_FD}, not {fd}")
        self._fd = fd
        self._use = _number(fd).use()  # before the look at the file: a use that begins later is another file's
        try:
            self._identity = self._identify()
        except OSError as error:
            raise ValueError(f"{name}: descriptor {fd} is not open: {error.strerror}") from None
        self._lock = threading.Lock()
        self._taken = False

    def _identify(self) -> tuple[int, int]:
        status = os.fstat(self._fd)
        return status.st_dev, status.st_ino

    def _is_the_same(self) -> bool:
        try:
            return (self._owner is None or self._owner.fileno() == self._fd) and self._identify() == self._identity
        except (OSError, ValueError):  # of a file object that is closed
            return False

    def take(self) -> int:
        with self._lock:
            if self._taken:
                raise SandboxError(f"the answer with descriptor {self._fd} was given before; make a new one")
            self._taken = True
        if not _number(self._fd).own(self._use, self._is_the_same):
            raise SandboxError(
                f"descriptor {self._fd} was closed, or given to another answer, after this answer was made; an answer "
                "closes its descriptor, so that each needs one of its own: see os.dup"
            )
        return self._fd

    def close(self) -> None:
        close = getattr(self._owner, "close", None)
        _number(self._fd).close(close if callable(close) else lambda: os.close(self._fd))

    def __repr__(self) -> str:
        return str(self._fd)


class BytesSource:
    """A file in memory, made when the answer is given."""

    def __init__(self, data: bytes, seal: bool) -> None:
        self._data = data
        self._seal = seal
        self._local = threading.local()

    def take(self) -> int:
        fd = os.memfd_create("sandlock", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(fd, "wb", buffering=0, closefd=False) as file:
                rest = memoryview(self._data)
                while rest:
                    rest = rest[file.write(rest) or 0 :]
                file.seek(0)
            if self._seal:
                seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        except BaseException:
            os.close(fd)
            raise
        self._local.fd = fd
        return fd

    def close(self) -> None:
        os.close(self._local.fd)

    def __repr__(self) -> str:
        return f"{len(self._data)} bytes"
