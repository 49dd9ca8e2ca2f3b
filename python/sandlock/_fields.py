"""The fields of a sandbox: what a command may do, and who answers its calls."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._chain import check_on_exception
from ._request import StrPath
from .actions import ExceptionPolicy
from .handler import OnException
from .protection import Protection

if TYPE_CHECKING:
    from datetime import datetime

    from .policy_fn import PolicyFn

__all__ = ["Fields", "check_name"]

_numbers = itertools.count(1)
_MAX_NAME_BYTES = 64


@dataclass
class Fields:
    """The fields of a :class:`Sandbox`, all of which can be left out."""

    fs_readable: Sequence[StrPath] = field(default_factory=list)
    """Files and folders that may be read and executed, with all that is beneath."""
    fs_writable: Sequence[StrPath] = field(default_factory=list)
    """Files and folders that may be read, executed and changed, with all that is beneath."""
    fs_denied: Sequence[StrPath] = field(default_factory=list)
    """What stays out of reach although a listed folder contains it; wins over the other lists."""

    extra_deny_syscalls: Sequence[str] = field(default_factory=list)
    """Names or groups of system calls that are denied on top of the default deny list."""
    extra_allow_syscalls: Sequence[str] = field(default_factory=list)
    """Groups that are taken off the default deny list; ``aio``, ``file_watches`` and ``sysv_ipc`` can be."""

    net_allow: Sequence[str] = field(default_factory=list)
    """Peers that may be reached, such as ``"example.com:443"``, ``"10.0.0.0/8:80,8000-8010"``, ``":443"``,
    ``"tcp://[::1]:80"``, ``"udp://*:*"`` or ``"icmp://10.0.0.1"``. Without a protocol a rule is about TCP and UDP.
    ``"unix://PATH"`` is a Unix socket, or a folder with all that are beneath. See docs/network.md."""
    net_deny: Sequence[str] = field(default_factory=list)
    """Peers that may not be reached, by address, network, ``*`` or ``unix://PATH``; wins over ``net_allow``. Without
    ``net_allow`` all others may be, but for Unix sockets."""
    net_allow_bind: Sequence[int | str] = field(default_factory=list)
    """Ports that may be bound: numbers, ``"8000-8010"``, ``"80,443"``, or ``"*"`` alone. 0 is one that the kernel
    picks."""
    net_deny_bind: Sequence[int | str] = field(default_factory=list)
    """Ports that may not be bound; wins over ``net_allow_bind``. Without ``net_allow_bind`` all others may be."""

    max_open_files: int | None = None
    """Open files of each process: RLIMIT_NOFILE, soft and hard, see setrlimit(2). None leaves the host's limit."""
    max_memory: int | str | None = None
    """Memory of the whole tree, pages of files aside: bytes, or ``"512M"`` with K, M, G or T for powers of 1024. A
    process that wants more for itself gets ENOMEM, a tree that has more is killed."""
    max_disk: int | str | None = None
    """By how much the folders of ``fs_writable`` may grow, in the same form as ``max_memory``. No file may be made
    longer than that (EFBIG and SIGXFSZ); a tree that writes more is killed."""
    max_processes: int | None = None
    """Processes of the whole tree; threads are not counted. Beyond it fork and its kin fail with EAGAIN."""
    max_cpu: int | None = None
    """CPU time of the whole tree, in per cent of one core: 1 to 100, a value beyond is taken for the nearest. A tree
    that has used more waits."""
    cpu_cores: Sequence[int] | None = None
    """The CPUs to run on, by number: an affinity (sched_setaffinity(2)) that the command cannot change. None leaves the
    host's."""
    num_cpus: int | None = None
    """On how many CPUs to run at most: the first of ``cpu_cores``, or of the host's."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that are added to the environment, or override it."""
    clean_env: bool = False
    """Start from PATH, HOME, USER, TERM and LANG of the host only."""
    cwd: StrPath | None = None
    """The working directory; None is the host's."""
    uid: int | None = None
    """The user that the command is shown as, together with ``gid``: it gets a user namespace of its own (see
    user_namespaces(7)) in which they stand for the host's. It has no capabilities there, not even as 0. Outside, for
    the rights of files for one, it stays who the host is; its supplementary groups are dropped where the host may."""
    gid: int | None = None
    """The group that the command is shown as, together with ``uid``."""
    umask: int | None = None
    """The permissions that new files do not get, 0 to 0o777; None is the host's, see umask(2)."""
    no_coredump: bool = False
    """Accepted for scripts that set it. No sandbox dumps core, whatever the value."""

    random_seed: int | None = None
    """Make the random numbers that the kernel gives the same in each run: getrandom(2), /dev/random, /dev/urandom and
    AT_RANDOM (getauxval(3)). 0 to 2**64-1; not for secrets. See docs/determinism.md for it and the next ones."""
    time_start: str | datetime | None = None
    """The time of day at which the command starts, from where it runs on: RFC 3339 text such as
    ``"2024-01-31T12:00:00Z"``, or a datetime with a time zone."""
    deterministic_dirs: bool = False
    """Give the entries of directories in the order of their names, byte by byte: getdents64(2)."""
    no_randomize_memory: bool = False
    """Put the command's memory at the same addresses in each run: ADDR_NO_RANDOMIZE of personality(2). It is easier to
    attack then."""
    no_huge_pages: bool = False
    """Disable transparent huge pages for the command: PR_SET_THP_DISABLE of prctl(2). A large host starts it more
    slowly, because its page tables are copied as for fork(2)."""

    allow_degraded: Sequence[Protection] = field(default_factory=list)
    """Protections that this kernel may lack."""
    disable: Sequence[Protection] = field(default_factory=list)
    """Protections that are never enforced."""

    policy_fn: PolicyFn | None = None
    """Called with a :class:`SyscallEvent` and a :class:`PolicyContext` for each call about files, the network,
    processes and memory, from several threads at once: it can deny the call, and restrict what may be done from then
    on. See docs/policy_fn.md."""

    name: str | None = None
    """At most 64 bytes; by default ``sandbox-{pid}-{n}``."""
    on_exception: OnException = ExceptionPolicy.KILL
    """What answers a call when a handler that has no rule of its own raised an exception."""
    handler_timeout: float | None = None
    """Seconds that a handler without a limit of its own may take; then what ``on_exception`` says for an Exception
    answers, and what the handler returns later is discarded. None is for ever."""
    handler_threads: int = 8
    """How many calls may be with synchronous handlers at once; others wait. Threads are started as they are needed."""

    def __post_init__(self) -> None:
        if self.name is None:
            self.name = f"sandbox-{os.getpid()}-{next(_numbers)}"
        check_name(self.name)
        check_on_exception("on_exception", self.on_exception)

    def cpu_pct(self) -> int | None:
        """Return ``max_cpu`` within its bounds."""
        return None if self.max_cpu is None else max(1, min(self.max_cpu, 100))


def check_name(name: object) -> None:
    """Check the name of a sandbox."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"name {name!r} must not be empty, '.' or '..', nor hold '/' or NUL")
    size = len(os.fsencode(name))
    if size > _MAX_NAME_BYTES:
        raise ValueError(f"name {name!r} has {size} bytes; {_MAX_NAME_BYTES} are allowed")
