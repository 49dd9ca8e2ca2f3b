"""Who owns the file descriptor of an answer, and how it is closed exactly once."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import Any, Protocol

__all__ = ["BytesSource", "DescriptorSource", "Source"]


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


class DescriptorSource:
    """A descriptor of the user's, which the answer takes over when it is given.

    The number alone is not trusted: when another file has it by then, the user's is gone, and the other one is
    somebody else's.
    """

    def __init__(self, name: str, source: Any) -> None:
        if isinstance(source, bool) or not (isinstance(source, int) or hasattr(source, "fileno")):
            raise NotADescriptorError(f"{name} must be a file descriptor or have fileno(), not {source!r}")
        self._owner = None if isinstance(source, int) else source
        self._fd: int = source if self._owner is None else self._owner.fileno()
        if not isinstance(self._fd, int) or self._fd < 0:
            raise ValueError(f"{name} must not be negative: {self._fd}")
        try:
            self._identity = self._identify()
        except OSError as error:
            raise ValueError(f"{name}: descriptor {self._fd} is not open: {error.strerror}") from None
        self._lock = threading.Lock()
        self._taken = False

    def _identify(self) -> tuple[int, int]:
        status = os.fstat(self._fd)
        return status.st_dev, status.st_ino

    def take(self) -> int:
        with self._lock:
            if self._taken:
                raise RuntimeError(f"the answer with descriptor {self._fd} was given before; make a new one")
            self._taken = True
        try:
            unchanged = self._identify() == self._identity
        except OSError:
            unchanged = False
        if not unchanged:
            raise RuntimeError(
                f"descriptor {self._fd} was closed after the answer was made; an answer closes its descriptor, "
                "so that each needs one of its own: see os.dup"
            )
        return self._fd

    def close(self) -> None:
        if self._owner is None:
            os.close(self._fd)
        else:
            self._owner.close()

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
