"""Records what a command does: the calls with which it reaches for files, programs and peers."""

from __future__ import annotations

import difflib
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._execs import arguments
from ._opens import open_flags
from ._peers import NETWORK_CALLS, addresses_of, peer_text
from ._printable import printable
from ._process import protocol
from ._shown import Shown
from ._syscalls import path_arguments, path_calls
from .actions import ExceptionPolicy, NotifAction
from .context import HandlerCtx
from .exceptions import NotifError, SandboxError
from .handler import Handler

if TYPE_CHECKING:
    from ._request import Command
    from .result import Result
    from .sandbox import Sandbox

__all__ = ["IPC_CALLS", "OPENS", "Audit", "Call", "Match", "audit"]

OPENS = frozenset({"open", "openat", "openat2", "creat"})
"""The calls that open files."""

IPC_CALLS = ("shmget", "semget", "msgget")
"""The calls by which a program gets at System V IPC."""

_EXECS = frozenset({"execve", "execveat"})
_BINDS = frozenset({"bind"})
_CONNECTS = frozenset(NETWORK_CALLS) - _BINDS
_SENDS = frozenset({"sendto", "sendmsg", "sendmmsg"})
_CHANGES = frozenset(
    {"creat", "truncate", "mkdir", "mkdirat", "mknodat", "rmdir", "unlink", "unlinkat"}
    | {"rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"}
)

_MOST = 64 << 20  # bytes that an audit may have: a command must not fill the host's memory
_CALL_SIZE = 600  # what a call takes beside its texts, roughly


@dataclass(frozen=True)
class Call:
    """One call, as it was made; whether it worked is not known."""

    syscall: str
    pid: int
    paths: tuple[str, ...] = ()
    """Absolute, with the links on the way followed, but not one at the end. What cannot be read is left out."""
    found: tuple[bool, ...] = ()
    """For each path whether there was something when the call came, a link to nothing included."""
    writes: bool = False
    """Whether it would change something: an open for writing, or any call that makes, moves or removes."""
    peer: str | None = None
    """Where it connects or sends to: ``127.0.0.1:80``, ``[::1]:80``, ``unix:/run/socket``, ``unix:@abstract``."""
    bound: str | None = None
    """The address that it binds, written in the same way."""
    protocol: str | None = None
    """Of its socket: ``tcp``, ``udp``, ``icmp``, or the kernel's name of another one."""
    argv: tuple[str, ...] = ()
    """The arguments of a program that it executes."""
    at: float = 0.0
    """When it was received: seconds after the audit was made."""

    def size(self) -> int:
        """Return how many bytes of memory it takes, roughly."""
        texts = (*self.paths, *self.argv, *filter(None, (self.peer, self.bound)))
        return _CALL_SIZE + sum(map(sys.getsizeof, texts))

    def __str__(self) -> str:
        return " ".join([self.syscall, *self.paths, *filter(None, (self.peer, self.bound))])


class Match:
    """What a question to an audit gives: true or false, with the reason as its representation."""

    def __init__(self, found: bool, text: str) -> None:
        self._found = found
        self._text = text

    def __bool__(self) -> bool:
        return self._found

    def __repr__(self) -> str:
        return printable(self._text)


class Audit(Shown):
    """The recorded calls of a command, or of several: :func:`audit` makes one, and so does :meth:`handlers`.

    Usable from any thread, also while the command runs. It keeps 64 MiB of calls, and counts those that come after.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """In the order in which they were received; :attr:`more_calls` came after them."""
        self.result: Result | None = None
        """How the command of :func:`audit` fared."""
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._size = 0
        self._more: Counter[str] = Counter()  # calls that are not kept, by name

    def handlers(self) -> list[tuple[int, Handler]]:
        """Return the registrations that record, for the ``handlers=`` of a run.

        What its sandbox denies outright, such as connect where no network is granted, cannot be recorded.
        """
        return [(number, _Recorder(self, name)) for name, number in _recorded().items()]

    def add(self, call: Call) -> None:
        with self._lock:
            self._size += call.size()
            if self._size > _MOST:
                self._more[call.syscall] += 1
            else:
                self.calls.append(call)

    def begin_anew(self) -> None:
        """Forget the calls."""
        with self._lock:
            self.calls = []
            self._size = 0
            self._more.clear()

    @property
    def more_calls(self) -> int:
        """How many calls were not kept, because there were 64 MiB already: the record is incomplete if it is not 0."""
        with self._lock:
            return sum(self._more.values())

    def _more_of(self, names: Iterable[str]) -> int:
        with self._lock:
            return sum(self._more[name] for name in names)

    @property
    def paths(self) -> list[str]:
        """Every path of every call once, in the order in which they came."""
        return list(dict.fromkeys(path for call in list(self.calls) for path in call.paths))

    @property
    def files(self) -> list[str]:
        """Every file that the command tried to open."""
        return self._of(OPENS)

    @property
    def programs(self) -> list[str]:
        """Every program that the command tried to execute."""
        return self._of(_EXECS)

    @property
    def changed(self) -> list[str]:
        """Every path of the calls that would change something."""
        return list(dict.fromkeys(path for call in list(self.calls) if call.writes for path in call.paths))

    @property
    def peers(self) -> list[str]:
        """Every address that the command tried to connect or to send to."""
        return list(dict.fromkeys(call.peer for call in list(self.calls) if call.peer is not None))

    @property
    def bound(self) -> list[str]:
        """Every address that the command tried to bind."""
        return list(dict.fromkeys(call.bound for call in list(self.calls) if call.bound is not None))

    @property
    def seconds(self) -> float:
        """How long ago the audit was made."""
        return time.monotonic() - self._began

    def _of(self, names: frozenset[str]) -> list[str]:
        calls = (call for call in list(self.calls) if call.syscall in names)
        return list(dict.fromkeys(path for call in calls for path in call.paths))

    def count(self, syscall: str) -> int:
        """Return how often a call was made; of those that send, with an address only.

        Raises:
            ValueError: it is none of the calls that are recorded.
        """
        if syscall not in _recorded():
            raise ValueError(f"syscall {syscall!r} is not recorded; these are: {', '.join(sorted(_recorded()))}")
        return sum(call.syscall == syscall for call in list(self.calls)) + self._more_of([syscall])

    def opened(self, path: str | os.PathLike[str]) -> Match:
        """Say whether the command tried to open a file.

        Raises:
            SandboxError: it is not among the calls that were kept, and some were not.
        """
        return self._match("opened", os.path.abspath(path), self.files, OPENS)

    def executed(self, path: str | os.PathLike[str]) -> Match:
        """Say whether the command tried to execute a program.

        Raises:
            SandboxError: as for :meth:`opened`.
        """
        return self._match("executed", os.path.abspath(path), self.programs, _EXECS)

    def connected(self, peer: str) -> Match:
        """Say whether the command tried to connect to an address, written as in :attr:`Call.peer`.

        Raises:
            SandboxError: as for :meth:`opened`.
        """
        return self._match("connected to", peer, self.peers, _CONNECTS)

    def _match(self, verb: str, wanted: str, seen: list[str], names: frozenset[str]) -> Match:
        if wanted in seen:
            return Match(True, f"{verb} {wanted}")
        if more := self._more_of(names):
            raise SandboxError(
                printable(f"cannot tell whether {wanted} was {verb}: {more} calls came after the {_MOST >> 20} MiB")
                + " that an audit keeps; audit a smaller part of the command"
            )
        close = difflib.get_close_matches(wanted, seen, n=3, cutoff=0.5)
        what = f"nearest of {len(seen)}: {', '.join(close)}" if close else f"{len(seen)} others"
        return Match(False, f"not {verb} {wanted} ({what if seen else 'nothing was'})")

    def __repr__(self) -> str:
        more = f" and {self.more_calls} that were not kept" if self.more_calls else ""
        return f"<Audit of {len(self.calls)} calls{more}: {len(self.files)} files, {len(self.peers)} peers>"


def audit(command: Command, sandbox: Sandbox, **options: Any) -> Audit:
    """Run a command and record its calls.

    Args:
        options: as for :meth:`Sandbox.run`, ``handlers`` among them.
    """
    record = Audit()
    options["handlers"] = [*record.handlers(), *options.get("handlers", ())]
    record.result = sandbox.run(command, **options)
    return record


def _recorded() -> dict[str, int]:
    """Return the calls that are recorded, with their numbers on this machine."""
    return path_calls(*NETWORK_CALLS, *IPC_CALLS)


class _Recorder(Handler):
    """Records one kind of call."""

    observe = True
    on_exception = ExceptionPolicy.CONTINUE
    _optional = True

    def __init__(self, record: Audit, syscall: str) -> None:
        self._record = record
        self._syscall = syscall

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        at = self._record.seconds
        for call in self._network(ctx, at) if self._syscall in NETWORK_CALLS else (self._paths(ctx, at),):
            self._record.add(call)
        return NotifAction.continue_()

    def _network(self, ctx: HandlerCtx, at: float) -> Iterator[Call]:
        addresses: list[str | None] = [text for text in map(peer_text, addresses_of(ctx)) if text]
        if not addresses and self._syscall in _SENDS:
            return  # to the peer that the socket is connected to
        kind = protocol(ctx.pid, ctx.args[0])
        binds = self._syscall in _BINDS
        for address in addresses or [None]:
            peer, bound = (None, address) if binds else (address, None)
            yield Call(self._syscall, ctx.pid, peer=peer, bound=bound, protocol=kind, at=at)

    def _paths(self, ctx: HandlerCtx, at: float) -> Call:
        paths = []
        for _, argument in path_arguments(ctx.syscall_nr):
            text = ctx.read_path(argument)
            if text:
                try:
                    paths.append(ctx.resolve_path(argument, text).path)
                except NotifError:  # the process is gone, or has no such folder
                    paths.append(text)
        found = tuple(map(os.path.lexists, paths))
        argv = arguments(ctx) if self._syscall in _EXECS else ()
        return Call(self._syscall, ctx.pid, tuple(paths), found, self._writes(ctx), argv=argv, at=at)

    def _writes(self, ctx: HandlerCtx) -> bool:
        if self._syscall in _CHANGES:
            return True
        flags = open_flags(ctx) or 0
        return flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & (os.O_CREAT | os.O_TRUNC))
