"""What a handler is given: one trapped system call."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import TypeVar

from . import _process as facts
from ._descriptors import DescriptorSource
from ._frame import ChildMemory, Performed
from ._process import ResolvedPath, resolve
from ._syscalls import folder_argument, path_argument, path_arguments, performable_paths
from .actions import SEND_FD, NotifAction
from .exceptions import NotifError

__all__ = ["HandlerCtx", "ResolvedPath"]

_T = TypeVar("_T")

_PATH_MAX = 4096  # limits.h, the NUL included

# How many names a call may be led to, one after the other, by somebody who replaces the links on its paths.
_MAX_JUDGED = 100


class HandlerCtx:
    """One trapped system call, and the memory of the task that made it.

    The fields are a snapshot. The memory is the child's own, and changes under the reader: a path that was read and
    judged may be another one when the kernel looks. It is reachable until the call is answered; later reads give
    None, later writes False, and the rest raises NotifError.
    """

    __slots__ = ("_memory", "_snapshot")

    _memory: ChildMemory
    _snapshot: tuple[int, ...]

    def __init__(self, memory: ChildMemory, snapshot: tuple[int, ...]) -> None:
        self._memory = memory
        self._snapshot = snapshot

    @property
    def id(self) -> int:
        """The kernel's number for this notification, 64 bits. An interrupted call comes again under another one."""
        return self._snapshot[0]

    @property
    def pid(self) -> int:
        """The thread that made the call."""
        return self._snapshot[1]

    @property
    def flags(self) -> int:
        """Flags of the notification; the kernel defines none yet."""
        return self._snapshot[2]

    @property
    def syscall_nr(self) -> int:
        """The number of the system call."""
        return self._snapshot[3]

    @property
    def arch(self) -> int:
        """The AUDIT_ARCH value of the call, see seccomp(2)."""
        return self._snapshot[4]

    @property
    def instruction_pointer(self) -> int:
        """Where in the program the call was made."""
        return self._snapshot[5]

    @property
    def args(self) -> tuple[int, ...]:
        """The six argument registers, each 64 bits without a sign."""
        return self._snapshot[6:12]

    def read(self, addr: int, length: int) -> bytes | None:
        """Read ``length`` bytes of the task's memory; None when not all of them can be read."""
        return self._memory.read(self._snapshot[0], addr, length)

    def read_cstr(self, addr: int, max_len: int) -> str | None:
        """Read a string that ends with NUL; None when it cannot be read or has more than ``max_len`` bytes.

        Bytes that are not UTF-8 come as surrogates, as from :func:`os.fsdecode`.
        """
        data = self._memory.read_string(self._snapshot[0], addr, max_len)
        return None if data is None else os.fsdecode(data)

    def read_cstr_bytes(self, addr: int, max_len: int) -> bytes | None:
        """Do as :meth:`read_cstr`, without decoding."""
        return self._memory.read_string(self._snapshot[0], addr, max_len)

    def write(self, addr: int, data: bytes) -> bool:
        """Write to the task's memory, where the task itself may; False when that fails."""
        return self._memory.write(self._snapshot[0], addr, data)

    def read_path(self, arg: int | None = None, max_len: int = 4096) -> str | None:
        """Read the path that argument ``arg`` points to; without it, the one that the system call is known to take.

        Raises:
            ValueError: ``arg`` is not 0 to 5, or is missing for a call that takes two paths or none that is known.
        """
        data = self.read_path_bytes(arg, max_len)
        return None if data is None else os.fsdecode(data)

    def read_path_bytes(self, arg: int | None = None, max_len: int = 4096) -> bytes | None:
        """Do as :meth:`read_path`, without decoding."""
        return self._memory.read_string(self._snapshot[0], self._snapshot[6 + self._path_argument(arg)], max_len)

    def _path_argument(self, arg: int | None) -> int:
        if arg is None:
            return path_argument(self._snapshot[3])
        if not 0 <= arg <= 5:
            raise ValueError(f"arg must be from 0 to 5, not {arg}")
        return arg

    def resolve_path(self, arg: int | None = None, path: str | None = None) -> ResolvedPath:
        """Find out what a path means for the child: from its working directory or the given folder.

        ``path`` is what :meth:`read_path` gave for that argument; without it, it is read. What is found out may change
        at once. To act on it, see :meth:`perform`.

        Raises:
            ValueError: as for :meth:`read_path`.
            NotifError: the path cannot be read, or the call is over.
        """
        index = self._path_argument(arg)
        if path is None:
            path = self.read_path(index)
        if path is None:
            raise NotifError(f"argument {index} of system call {self.syscall_nr} is no path that can be read")
        folder = folder_argument(self.syscall_nr, index)
        try:
            resolved = resolve(self.pid, None if folder is None else self.args[folder], path)
        except OSError as error:
            raise NotifError(f"process {self.pid}: {error}") from None
        self._still_waits()
        return resolved

    def perform(self, *paths: str | bytes, judge: Callable[[str], NotifAction | None] | None = None) -> NotifAction:
        """Perform the trapped call for the child, and return the answer that hands the result over.

        It is performed with the paths given here, which are the ones that were judged, whatever the child's memory says
        by now; without any they are read first. A thread inside the child's own Landlock domain does it, with the
        child's credentials and folders: it reaches nothing that the child could not.

        A path may lead elsewhere by the time that it is followed, for the child can replace the links on it. To decide
        about the files themselves give ``judge``: it is called with the absolute name of what each path leads to, links
        followed where the call follows them, before anything is done to it. What it returns is the answer instead,
        unless it is None.

        The answer to the opening of a FIFO whose other end is closed is :meth:`NotifAction.hold`: the call is answered
        when somebody opens that.

        Raises:
            NotifError: the call is over, or it cannot be performed for somebody else, such as execve.
            ValueError: another number of paths than the call has, or a NUL in one.
        """
        if not performable_paths(self.syscall_nr):
            raise NotifError(f"system call {self.syscall_nr} cannot be performed on the child's behalf")
        places = path_arguments(self.syscall_nr)
        if paths and len(paths) != len(places):
            raise ValueError(f"system call {self.syscall_nr} takes {len(places)} paths, not {len(paths)}")
        words = [os.fsencode(path) for path in paths]
        if any(b"\0" in word for word in words):
            raise ValueError(f"there is a NUL in {paths!r}")
        for _, argument in () if paths else places:
            word = self._read_path_of_call(argument)
            if isinstance(word, NotifAction):
                return word
            words.append(word)
        if judge is None:
            performed = self._memory.perform(self._snapshot[0], words, None)
            assert isinstance(performed, Performed)
            return _answer_with(performed)
        return self._perform_judged(words, [], judge)

    def _perform_judged(
        self, words: list[bytes], judged: list[bytes], judge: Callable[[str], NotifAction | None]
    ) -> NotifAction:
        """Perform the call once all that it leads to is judged; ``judged`` are the names that need no judging."""
        for _ in range(_MAX_JUDGED):
            performed = self._memory.perform(self._snapshot[0], words, judged)
            if isinstance(performed, Performed):
                return _answer_with(performed)
            answer = judge(os.fsdecode(performed))
            if answer is not None:
                return answer
            judged.append(performed)
        return NotifAction.errno(errno.ELOOP)  # somebody replaces the links faster than they can be followed

    def _read_path_of_call(self, argument: int) -> bytes | NotifAction:
        """Return the path, or the error with which the kernel answers when it cannot read it."""
        address = self.args[argument]
        if not address:
            return b""  # for some calls the descriptor beside it; which ones they are is known to who performs them
        data = self._memory.read_string(self._snapshot[0], address, _PATH_MAX - 1)
        if data is not None:
            return data
        if not self._memory.waits(self._snapshot[0]):
            raise NotifError("the call is over, or was answered")
        too_long = self._memory.read(self._snapshot[0], address, _PATH_MAX) is not None
        return NotifAction.errno(errno.ENAMETOOLONG if too_long else errno.EFAULT)

    def open(self, path: str | bytes | None = None) -> NotifAction:
        """Do as :meth:`perform` for a call that takes one path."""
        return self.perform() if path is None else self.perform(path)

    @property
    def ppid(self) -> int:
        """The parent of the process. Like all facts about it, read when asked for."""
        return self._fact(lambda: facts.parent(self.pid))

    @property
    def uid(self) -> int:
        """The effective user of the thread."""
        return self._fact(lambda: facts.user(self.pid))

    @property
    def executable(self) -> str:
        """The program that the process runs."""
        return self._fact(lambda: facts.executable(self.pid))

    @property
    def cmdline(self) -> list[str]:
        """The arguments of the process, which it may have changed."""
        return self._fact(lambda: facts.command_line(self.pid))

    @property
    def cwd(self) -> str:
        """The working directory of the thread."""
        return self._fact(lambda: facts.working_directory(self.pid))

    def _fact(self, read: Callable[[], _T]) -> _T:
        try:
            fact = read()
        except OSError as error:
            raise NotifError(f"process {self.pid}: {error}") from None
        self._still_waits()
        return fact

    def _waits(self) -> bool:
        return self._memory.waits(self._snapshot[0])

    def _still_waits(self) -> None:
        """Raise unless the thread waits still: else its number may be another one's."""
        if not self._waits():
            raise NotifError("the call is over")

    def __repr__(self) -> str:
        args = ", ".join(f"{arg:#x}" for arg in self.args)
        return f"<HandlerCtx syscall={self.syscall_nr} pid={self.pid} args=({args})>"


class _PerformedSource(DescriptorSource):
    """A descriptor that a call gave which was performed. Where the answer is never given, it goes with it."""

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError, OSError, AttributeError):  # given, or the interpreter ends
            self.take()
            self.close()


def _answer_with(performed: Performed) -> NotifAction:
    """Return the answer that hands over what a performed call gave."""
    if performed.waits:
        return NotifAction.hold()
    if performed.fd >= 0:
        flags = os.O_CLOEXEC if performed.close_on_exec else 0
        try:
            source = _PerformedSource("perform", performed.fd)
        except BaseException:
            os.close(performed.fd)
            raise
        return NotifAction(SEND_FD, flags, 0, source)
    if performed.errno:
        return NotifAction.errno(performed.errno)
    return NotifAction.returns(performed.value)
