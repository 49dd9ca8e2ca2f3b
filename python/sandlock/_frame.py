"""The memory that a run's worker threads share with Go. The layout is that of bindings/core/frame.go."""

from __future__ import annotations

import errno
import functools
import json
import mmap
import struct
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ._extension import core
from .exceptions import NotifError, from_core

__all__ = ["ChildMemory", "Frame", "Performed", "Slot", "Transferred"]

_NOTIFICATION = struct.Struct("=QIIiIQ6QI")
_ANSWER = struct.Struct("=IIq")
_ANSWER_OFFSET = 88
_DATA_OFFSET = 4096
_DATA_SIZE = 64 << 10
_SLOT_SIZE = _DATA_OFFSET + _DATA_SIZE

_MAX_ADDRESS = 2**64 - 1

# Strings up to this length are read page by page, and no further than their end.
_SHORT = 16 << 10


class Slot:
    """One worker's part of the frame."""

    __slots__ = ("_base", "_frame", "notification")

    def __init__(self, frame: mmap.mmap, index: int) -> None:
        self._frame = frame
        self._base = index * _SLOT_SIZE
        self.notification = functools.partial(_NOTIFICATION.unpack_from, frame, self._base)
        """Return id, pid, flags, syscall, arch, instruction pointer, the six arguments, and whether no worker waits."""

    def answer(self, kind: int, operand: int, value: int) -> None:
        """Write the answer that the next call of Next gives. Without it the answer is Continue."""
        _ANSWER.pack_into(self._frame, self._base + _ANSWER_OFFSET, kind, operand, value)

    def data(self, length: int) -> bytes:
        start = self._base + _DATA_OFFSET
        return self._frame[start : start + length]

    def set_data(self, data: bytes) -> None:
        start = self._base + _DATA_OFFSET
        self._frame[start : start + len(data)] = data


class Performed(NamedTuple):
    """What a call gave that was performed for a task."""

    fd: int
    """A descriptor that the task shall get, and that is the caller's until then; or -1."""
    close_on_exec: bool
    value: int
    errno: int
    waits: bool
    """The call waits for somebody else, and is answered when that is over."""


class Transferred(NamedTuple):
    """What a call on a descriptor gave that was performed for a task."""

    value: int
    errno: int
    awaited: int
    """A descriptor that is the caller's: nothing was done until it is ready. Or -1."""
    writing: bool
    """What it is to be ready for."""
    patience: float
    """How many seconds the kernel would wait; 0 is for ever."""
    unsupported: str
    """Why the call cannot be performed, and nothing was done; else empty."""


class ChildMemory:
    """The memory of the tasks that wait for a worker's answers. Usable from any thread until the answer is given.

    Go looks up each access by the notification's id, and refuses it when the answer was given.
    """

    __slots__ = ("_index", "_lock", "_open")

    def __init__(self, run: int, index: int, slot: Slot) -> None:
        self._open: tuple[int, Slot] | None = (run, slot)
        self._index = index
        self._lock = threading.Lock()  # of the slot's data

    def read(self, notification: int, address: int, length: int) -> bytes | None:
        if length <= 0:
            return b"" if length == 0 and self.waits(notification) else None
        parts = []
        while length > 0:
            chunk = self._read_some(notification, address, min(length, _DATA_SIZE))
            if not chunk:
                return None
            parts.append(chunk)
            address += len(chunk)
            length -= len(chunk)
        return b"".join(parts)

    def _read_some(self, notification: int, address: int, length: int) -> bytes | None:
        """Read up to the first page that cannot be read."""
        opened = self._open
        if opened is None or not 0 <= address <= _MAX_ADDRESS:
            return None
        run, slot = opened
        read = core().core_ReadMemory  # before the lock, which a fork may have left taken
        with self._lock:
            count = _call(read, run, self._index, notification, address, length)
            return None if count is None or count < 0 else slot.data(count)

    def read_string(self, notification: int, address: int, limit: int) -> bytes | None:
        if limit < _SHORT:
            return self._read_short(notification, address, limit)
        parts: list[bytes] = []
        while limit >= 0:
            chunk = self._read_some(notification, address, min(limit + 1, _DATA_SIZE))
            if not chunk:
                return None
            text, nul, _ = chunk.partition(b"\0")
            parts.append(text)
            if nul:
                return b"".join(parts)
            address += len(chunk)
            limit -= len(chunk)
        return None

    def _read_short(self, notification: int, address: int, limit: int) -> bytes | None:
        opened = self._open
        if opened is None or not 0 <= address <= _MAX_ADDRESS:
            return None
        run, slot = opened
        read = core().core_ReadString
        with self._lock:
            try:
                length = read(run, self._index, notification, address, limit)
            except RuntimeError:  # the run was closed meanwhile
                return None
            return None if length < 0 else slot.data(length)

    def write(self, notification: int, address: int, data: bytes) -> bool:
        if not data:
            return self.waits(notification)
        for start in range(0, len(data), _DATA_SIZE):
            chunk = data[start : start + _DATA_SIZE]
            opened = self._open
            if opened is None or not 0 <= address + start <= _MAX_ADDRESS:
                return False
            run, slot = opened
            write = core().core_WriteMemory  # before the slot is touched: a forked process shares it with its parent
            with self._lock:
                slot.set_data(chunk)
                if not _call(write, run, self._index, notification, address + start, len(chunk)):
                    return False
        return True

    def perform(self, notification: int, paths: Sequence[bytes], judged: Sequence[bytes] | None) -> Performed | bytes:
        """Have a call performed with these paths, one or two; see bindings/core/perform.go.

        With ``judged`` they may lead to these names only. Else a name that is not among them is returned.

        Raises:
            NotifError: the call is over, or cannot be performed.
        """
        data = b"".join(word + b"\0" for word in (*paths, *(judged or ())))
        if len(data) > _DATA_SIZE:
            return Performed(fd=-1, close_on_exec=False, value=0, errno=errno.ENAMETOOLONG, waits=False)
        opened = self._open
        if opened is None:
            raise NotifError("the run is over")
        run, slot = opened
        perform = core().core_Perform
        with self._lock:
            slot.set_data(data)
            try:
                text = perform(run, self._index, notification, len(data), judged is not None)
            except RuntimeError as error:
                raise from_core(error) from None
            performed = json.loads(text)
            unjudged: int = performed.pop("unjudged")
            return slot.data(unjudged) if unjudged else Performed(**performed)

    def transfer(self, notification: int, most: int) -> Transferred:
        """Have a call performed on the task's own descriptor, with so many bytes at most where ``most`` is not 0.

        Raises:
            NotifError: the call is over.
        """
        opened = self._open
        if opened is None:
            raise NotifError("the run is over")
        try:
            text = core().core_Transfer(opened[0], notification, most)
        except RuntimeError as error:
            raise from_core(error) from None
        return Transferred(**json.loads(text))

    def signalled(self, notification: int) -> int:
        """Say whether a signal waits for the task's call to be answered: 0 no, 1 maybe, 2 surely."""
        opened = self._open
        return (opened is not None and _call(core().core_Signalled, opened[0], notification)) or 0

    def waits(self, notification: int) -> bool:
        """Say whether the task still waits for the answer."""
        opened = self._open
        return opened is not None and bool(_call(core().core_StillWaits, opened[0], notification))

    def close(self) -> None:
        """Refuse every access from here on: the run is over. What is under way goes on; Go keeps the frame for it."""
        self._open = None


def _call(function: Callable[..., int], *arguments: int) -> int | None:
    """Call the extension; None where the run was closed meanwhile."""
    try:
        return function(*arguments)
    except RuntimeError:
        return None


class Frame:
    """The frame of a run, and what gives contexts access to the child through it."""

    def __init__(self, run: int, fd: int) -> None:
        self._run = run
        self._memory = mmap.mmap(fd, 0)
        self._children: list[ChildMemory] = []

    def worker(self, index: int) -> tuple[Slot, ChildMemory]:
        """Return a worker's slot, and the memory of the tasks that it decides about."""
        slot = Slot(self._memory, index)
        child = ChildMemory(self._run, index, slot)
        self._children.append(child)
        return slot, child

    def revoke(self) -> None:
        """Take the memory from contexts that somebody has kept."""
        for child in self._children:
            child.close()

    def close(self) -> None:
        """Unmap the frame. No worker may use its slot any more."""
        self.revoke()
        self._memory.close()
