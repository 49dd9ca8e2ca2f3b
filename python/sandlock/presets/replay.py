"""Handlers that keep what system calls gave, and give it again."""

from __future__ import annotations

import collections
import errno
import fnmatch
import os
import threading
from collections.abc import Iterable, Sequence

from .._opens import open_flags
from .._process import AT_FDCWD, open_file
from .._syscalls import folder_argument, name_of, numbers_of
from .._transfer import transfer
from ..actions import NotifAction
from ..context import HandlerCtx, _answer_with
from ..exceptions import NotifError, SandboxError
from ..handler import Handler
from ._recording import REFUSED, Entry, Recording, Served, file_syscalls, served

__all__ = ["RecordHandler", "ReplayError", "ReplayHandler"]


class ReplayError(SandboxError):
    """A command made another call than the recorded one, or one that no recording can hold."""


class _SubjectHandler(Handler):
    """Knows what a call is about, in a run that records and in one that replays alike."""

    def __init__(self, syscalls: Sequence[str], paths: Sequence[str], stdin: bool) -> None:
        self._syscalls = list(syscalls)
        self._paths = list(paths)
        self._stdin = stdin
        self._opened: dict[tuple[int, int], str] = {}  # subjects of open files, by device and inode
        self._lock = threading.Lock()

    @property
    def registrations(self) -> list[tuple[str, Handler]]:
        """What to give as ``handlers``, or as a part of them."""
        return [(name, self) for name in (*self._syscalls, *REFUSED) if numbers_of([name])]

    def _refusal(self, ctx: HandlerCtx, name: str) -> NotifAction:
        """Keep a call that no recording can hold from a recorded file."""
        subject = self._open_subject(ctx, ctx.args[REFUSED[name]])
        if subject is None:
            return NotifAction.continue_()
        if "readv" in name:
            raise ReplayError(f"{name} of {subject!r} can be neither recorded nor replayed")
        # What file systems answer that cannot do it, and programs go on with read.
        return NotifAction.errno(errno.ENODEV if name == "mmap" else errno.EINVAL)

    def _subject(self, ctx: HandlerCtx, call: Served, path: str | None) -> str | None:
        """Return what a call is about; None for what is not asked for."""
        if path:
            name = self._absolute(ctx, call, path)
            return name if any(fnmatch.fnmatchcase(name, pattern) for pattern in self._paths) else None
        if call.descriptor is not None:
            return self._open_subject(ctx, ctx.args[call.descriptor])
        return None if call.path is not None else ""

    def _absolute(self, ctx: HandlerCtx, call: Served, path: str) -> str:
        """Return the path as the program means it; links are not followed, for they may be gone at the replay."""
        if not path.startswith("/"):
            assert call.path is not None
            argument = folder_argument(ctx.syscall_nr, call.path)
            folder = AT_FDCWD if argument is None else ctx.args[argument] & 0xFFFFFFFF
            if folder == AT_FDCWD:
                base = ctx.cwd
            else:
                base = self._open_subject(ctx, folder) or open_file(ctx.pid, folder) or ""
            path = os.path.join(base, path)
        return os.path.normpath(path)

    def _open_subject(self, ctx: HandlerCtx, descriptor: int) -> str | None:
        """Return what a descriptor of the child's is about; None for what is not asked for."""
        number = descriptor & 0xFFFFFFFF
        try:
            status = os.stat(f"/proc/{ctx.pid}/fd/{number}")
        except OSError:
            return None  # it is not open
        subject = self._opened.get((status.st_dev, status.st_ino))
        return "stdin" if subject is None and self._stdin and number == 0 else subject

    def _remember(self, fd: int, subject: str) -> None:
        status = os.fstat(fd)
        self._opened[status.st_dev, status.st_ino] = subject


class RecordHandler(_SubjectHandler):
    """Keeps what calls give: their results, and what they write to the child's memory. Give ``registrations``.

    Args:
        paths: ``fnmatch`` patterns of the absolute paths of files; of calls on paths and descriptors, those about them
            are kept.
        syscalls: which calls; None is all about files that can be recorded. ``getrandom`` and ``uname`` can be, too.
        stdin: keep the calls on the command's standard input as well.
    """

    def __init__(
        self, paths: Sequence[str] = (), *, syscalls: Sequence[str] | None = None, stdin: bool = False
    ) -> None:
        if syscalls is None:
            syscalls = file_syscalls()
        for name, values in (("paths", paths), ("syscalls", syscalls)):
            is_list = isinstance(values, Iterable) and not isinstance(values, (str, bytes))
            if not is_list or not all(isinstance(value, str) for value in values):
                raise TypeError(f"{name} must be a list of str, not {values!r}")
        for syscall in syscalls:
            served(syscall)
        super().__init__(syscalls, paths, stdin)
        self._entries: list[Entry] = []
        self._size = 0

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was kept to a file, as JSON. It may hold secrets that the command has read."""
        Recording(self._syscalls, self._paths, self._stdin, self._entries).save(path)

    async def handle(self, ctx: HandlerCtx) -> NotifAction:
        name = name_of(ctx.syscall_nr)
        if name in REFUSED:
            return self._refusal(ctx, name)
        call = served(name)
        word = None if call.path is None else ctx._read_path_of_call(call.path)
        if isinstance(word, NotifAction):
            return word
        subject = self._subject(ctx, call, None if word is None else os.fsdecode(word))
        if subject is None:
            return NotifAction.continue_()
        numbers = tuple(ctx.args[number] for number in call.numbers)
        if word is None:
            result = await transfer(ctx)
            if result.unsupported:
                raise NotifError(f"{name} of {subject!r} cannot be recorded: {result.unsupported}")
            value, failure = result.value, result.errno
            action = NotifAction.errno(failure) if failure else NotifAction.returns(value)
        else:
            performed = ctx._memory.perform(ctx.id, [word], None)
            assert not isinstance(performed, bytes)
            if performed.waits:
                raise NotifError(f"{name} of {subject!r} cannot be recorded: it is a FIFO")
            if performed.fd >= 0:
                self._remember(performed.fd, subject)
            value, failure, action = performed.value, performed.errno, _answer_with(performed)
        if failure < _FIRST_INTERNAL:  # else the call is made again after a signal, and kept then
            data = _output(ctx, call, value) if not failure else b""
            self._size += _ENTRY_SIZE + len(data)
            if self._size > _MOST:
                raise NotifError(f"{name} of {subject!r} cannot be recorded: there are {_MOST >> 20} MiB already")
            self._entries.append(Entry(name, subject, numbers, value, failure, data))
        return action


_MOST = 64 << 20  # bytes that a recording may have: a command must not fill the host's memory
_ENTRY_SIZE = 500  # what a call takes beside its data, roughly

_FIRST_INTERNAL = 512  # include/linux/errno.h: from here on they are the kernel's own


def _output(ctx: HandlerCtx, call: Served, value: int) -> bytes:
    if call.output is None:
        return b""
    return ctx.read(ctx.args[call.output], value if call.size is None else call.size) or b""


class ReplayHandler(_SubjectHandler):
    """Gives to a command what a :class:`RecordHandler` kept of another run. Give ``registrations``; for one run only.

    The files need not be there. Calls on a file are answered in their order. One that was not recorded, or has other
    arguments, raises a :class:`ReplayError`, which ``on_exception`` answers.

    Args:
        path: the file that ``RecordHandler.save`` wrote.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        recording = Recording.load(path)
        super().__init__(recording.syscalls, recording.paths, recording.stdin)
        self._entries: dict[tuple[str, str], collections.deque[Entry]] = collections.defaultdict(collections.deque)
        for entry in recording.entries:
            self._entries[entry.name, entry.subject].append(entry)

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        name = name_of(ctx.syscall_nr)
        if name in REFUSED:
            return self._refusal(ctx, name)
        call = served(name)
        path = None
        if call.path is not None:
            word = ctx._read_path_of_call(call.path)
            if isinstance(word, NotifAction):
                return word
            path = os.fsdecode(word)
        subject = self._subject(ctx, call, path)
        if subject is None:
            return NotifAction.continue_()
        entry = self._next(name, subject, tuple(ctx.args[number] for number in call.numbers))
        if entry.errno:
            return NotifAction.errno(entry.errno)
        if open_flags(ctx) is not None:
            return self._stand_in(ctx, subject)
        if call.output is not None and not ctx.write(ctx.args[call.output], entry.data):
            return NotifAction.errno(errno.EFAULT)
        return NotifAction.returns(entry.value)

    def _next(self, name: str, subject: str, numbers: tuple[int, ...]) -> Entry:
        what = f"{name} of {subject!r}" if subject else name
        with self._lock:
            entries = self._entries[name, subject]
            if not entries:
                raise ReplayError(f"{what} is not in the recording, or not as often")
            if entries[0].numbers != numbers:
                raise ReplayError(f"{what} has the arguments {numbers}, and {entries[0].numbers} in the recording")
            return entries.popleft()

    def _stand_in(self, ctx: HandlerCtx, subject: str) -> NotifAction:
        """Open something in the place of a file: what is read from it comes from the recording."""
        fd = os.memfd_create("sandlock-replay", os.MFD_CLOEXEC)
        self._remember(fd, subject)
        return NotifAction.inject_fd_send(fd, (open_flags(ctx) or 0) & os.O_CLOEXEC)
