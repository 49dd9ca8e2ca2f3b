"""The memory that a run's worker threads share with Go. The layout is that of bindings/core/frame.go."""

from __future__ import annotations

import errno
import json
import mmap
import struct
import threading
from collections.abc import Sequence

from ._extension import core
from .errors import NotifError, from_core

__all__ = ["ChildMemory", "Slot"]

_NOTIFICATION = struct.Struct("=QIIiIQ6QI")
_ANSWER = struct.Struct("=IIq")
_ANSWER_OFFSET = 88
_DATA_OFFSET = 4096
_DATA_SIZE = 64 << 10
_SLOT_SIZE = _DATA_OFFSET + _DATA_SIZE

_MAX_ADDRESS = 2**64 - 1


class Slot:
    """One worker's part of the frame."""

    __slots__ = ("_base", "_frame")

    def __init__(self, frame: mmap.mmap, index: int) -> None:
        self._frame = frame
        self._base = index * _SLOT_SIZE

    def notification(self) -> tuple[int, ...]:
        """Return id, pid, flags, syscall, arch, instruction pointer, the six arguments, and whether no worker waits."""
        return _NOTIFICATION.unpack_from(self._frame, self._base)

    def answer(self, kind: int, operand: int, value: int) -> None:
        """Write the answer that the next call of Next gives. Without it the answer is Continue."""
        _ANSWER.pack_into(self._frame, self._base + _ANSWER_OFFSET, kind, operand, value)

    def data(self, length: int) -> bytes:
        start = self._base + _DATA_OFFSET
        return self._frame[start : start + length]

    def set_data(self, data: bytes) -> None:
        start = self._base + _DATA_OFFSET
        self._frame[start : start + len(data)] = data


class ChildMemory:
    """The memory of the tasks that wait for a worker's answers. Usable from any thread until the answer is given.

    Go looks up each access by the notification's id, and refuses it when the answer was given.
    """

    __slots__ = ("_index", "_lock", "_run", "_slot")

    def __init__(self, run: int, index: int, slot: Slot) -> None:
        self._run: int | None = run
        self._index = index
        self._slot = slot
        self._lock = threading.Lock()

    def read(self, notification: int, address: int, length: int) -> bytes | None:
        parts = []
        while length > 0:
            chunk = min(length, _DATA_SIZE)
            with self._lock:
                if self._run is None or not 0 <= address <= _MAX_ADDRESS:
                    return None
                count = core().core_ReadMemory(self._run, self._index, notification, address, chunk)
                if count < chunk:
                    return None
                parts.append(self._slot.data(count))
            address += count
            length -= count
        return b"".join(parts)

    def read_string(self, notification: int, address: int, limit: int) -> bytes | None:
        limit = min(limit, _DATA_SIZE - 1)
        with self._lock:
            if self._run is None or not 0 <= address <= _MAX_ADDRESS:
                return None
            length = core().core_ReadString(self._run, self._index, notification, address, limit)
            return None if length < 0 else self._slot.data(length)

    def write(self, notification: int, address: int, data: bytes) -> bool:
        for start in range(0, len(data), _DATA_SIZE):
            chunk = data[start : start + _DATA_SIZE]
            with self._lock:
                if self._run is None or not 0 <= address + start <= _MAX_ADDRESS:
                    return False
                self._slot.set_data(chunk)
                if not core().core_WriteMemory(self._run, self._index, notification, address + start, len(chunk)):
                    return False
        return True

    def perform(self, notification: int, paths: Sequence[bytes]) -> dict[str, int]:
        """Have a call performed with these paths, one or two; see bindings/core/perform.go.

        Raises:
            NotifError: the call is over, or cannot be performed.
        """
        data = b"".join(paths)
        if len(data) > _DATA_SIZE:
            return {"fd": -1, "close_on_exec": 0, "value": 0, "errno": errno.ENAMETOOLONG}
        second = len(paths[1]) if len(paths) > 1 else -1
        with self._lock:
            if self._run is None:
                raise NotifError("the run is over")
            self._slot.set_data(data)
            try:
                performed = core().core_Perform(self._run, self._index, notification, len(paths[0]), second)
            except RuntimeError as error:
                raise from_core(error) from None
        return dict(json.loads(performed))

    def waits(self, notification: int) -> bool:
        """Say whether the task still waits for the answer."""
        with self._lock:
            return self._run is not None and bool(core().core_StillWaits(self._run, notification))

    def close(self) -> None:
        """Refuse every access from here on: the run is over."""
        with self._lock:
            self._run = None
