"""A policy that is decided while the command runs: ``Sandbox(policy_fn=...)``."""

from __future__ import annotations

import errno
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Union

from ._chain import Chain, Link, chains_of
from ._denied import DeniedPaths, Executions, PathEnforcer
from ._execs import EXECUTION_CALLS, arguments
from ._extension import core
from ._peers import NETWORK_CALLS, address_of, networks, peer_of
from ._process import lineage
from ._request import StrPath
from ._syscalls import name_of, numbers_of
from .actions import NotifAction
from .context import HandlerCtx
from .exceptions import NotifError, from_core
from .handler import Handler, OnException

__all__ = ["PolicyContext", "PolicyFn", "SyscallEvent", "policy_chains"]

_log = logging.getLogger("sandlock.audit")

_CONTINUE = NotifAction.continue_()

FILE = "file"
NETWORK = "network"
PROCESS = "process"
MEMORY = "memory"

# What is left out looks at files without opening or changing them, as Landlock leaves it out: stat, access, readlink.
_FILE_CALLS = (
    "open",
    "creat",
    "openat",
    "openat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "mknodat",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "utimensat",
)
_CATEGORIES = {
    FILE: _FILE_CALLS,
    NETWORK: NETWORK_CALLS,
    PROCESS: ("clone", "fork", "vfork", *EXECUTION_CALLS),
    MEMORY: ("mmap", "mremap", "brk"),
}


@dataclass(frozen=True)
class SyscallEvent:
    """A system call that the command is about to make. It has no paths; see :meth:`PolicyContext.deny_path`."""

    syscall: str
    """Its name, such as ``"openat"``."""
    category: str
    """``"file"``, ``"network"``, ``"process"`` or ``"memory"``."""
    pid: int
    """The process that makes it."""
    parent_pid: int = 0
    """Its parent."""
    host: str | None = None
    """The address of the peer, or the one that is bound; for the network only, and None for a Unix socket."""
    port: int = 0
    """The port that belongs to it."""
    argv: tuple[str, ...] | None = None
    """The arguments of the program, for execve and execveat only. Another thread of the process can change them before
    the kernel reads them: good for an audit and for steering well-meaning programs, no boundary."""
    denied: bool = False
    """Whether the call fails anyway, because of what the context has restricted."""

    def argv_contains(self, s: str) -> bool:
        """Say whether one of the arguments contains a text."""
        return any(s in argument for argument in self.argv or ())


Verdict = Union[bool, int, str, None]
"""None or False allows, True denies with EPERM, an int denies with that errno, ``"audit"`` allows and logs."""


class PolicyContext:
    """What a ``policy_fn`` may restrict while the command runs. It may be kept, and used by any thread.

    Once the command is gone, nothing is restricted any more, and nothing is wrong.
    """

    def __init__(self) -> None:
        self._paths = DeniedPaths()
        self._run = 0

    def restrict_network(self, ips: Iterable[str]) -> None:
        """Let the command reach no other addresses or networks than these from now on; ``[]`` is none.

        It holds for calls that name an address; no Unix socket is among them. What is connected stays connected.

        Raises:
            ValueError: an entry is no address and no network, such as ``"192.0.2.1"`` and ``"2001:db8::/32"``.
        """
        self._tell(core().core_RestrictNetwork, 0, False, networks("restrict_network", ips))

    def grant_network(self, ips: Iterable[str]) -> None:
        """Add addresses to those of :meth:`restrict_network`. It grants nothing beyond the policy."""
        self._tell(core().core_RestrictNetwork, 0, True, networks("grant_network", ips))

    def restrict_pid_network(self, pid: int, ips: Iterable[str]) -> None:
        """Do as :meth:`restrict_network` for a process and its descendants, on top of what holds for all.

        An orphan, whose parent is gone, gets what all such restrictions have in common: nobody knows whose it is.
        """
        _check_number("restrict_pid_network: pid", pid)
        self._tell(core().core_RestrictNetwork, pid, False, networks("restrict_pid_network", ips))

    def restrict_max_memory(self, bytes: int) -> None:
        """Lower ``max_memory`` from now on: a tree that uses more is killed. A higher number changes nothing."""
        _check_number("restrict_max_memory: bytes", bytes)
        self._tell(core().core_RestrictMemory, bytes)

    def restrict_max_processes(self, n: int) -> None:
        """Lower ``max_processes`` from now on: forks beyond fail with EAGAIN. A higher number changes nothing."""
        _check_number("restrict_max_processes: n", n)
        self._tell(core().core_RestrictProcesses, n)

    def _bind(self, run: int) -> None:
        """Say what it restricts: the handle of the run in Go."""
        self._run = run

    def _expect(self, ctx: HandlerCtx, address: bytes) -> None:
        """Let a call go on with the address that was judged, and no other."""
        self._tell(core().core_Expect, ctx.id, ctx.pid, address.hex())

    def _tell(self, call: Callable[..., bool], *arguments: object) -> None:
        try:
            call(self._run, *arguments)
        except RuntimeError as error:
            raise from_core(error) from None

    def deny_path(self, path: StrPath) -> None:
        """Deny opening, executing and changing a file, or a folder with all that is beneath, from now on.

        Files that are open stay so, and programs that run go on. A denied program that another thread has slipped into
        an execve is killed before it does anything: see docs/policy_fn.md.
        """
        self._paths.deny(path)

    def allow_path(self, path: StrPath) -> None:
        """Take back what :meth:`deny_path` has denied, for all of it or a part. It grants nothing beyond the policy."""
        self._paths.allow(path)


PolicyFn = Callable[[SyscallEvent, PolicyContext], Verdict]


class _Asker(Handler):
    """Asks the policy function."""

    def __init__(self, function: PolicyFn, context: PolicyContext) -> None:
        self._function = function
        self._context = context
        self.calls = {number: category for category, names in _CATEGORIES.items() for number in numbers_of(names)}
        """The category of each call that it wants."""
        self._execution_calls = numbers_of(EXECUTION_CALLS)
        self._executions = Executions(context._paths)

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        try:
            address = address_of(ctx) if self.calls[ctx.syscall_nr] == NETWORK else b""
            event = self._event(ctx, address)
            if event.category == MEMORY and self._executions.has_begun_denied(event.pid):
                return NotifAction.kill(pid=event.pid)
        except (NotifError, OSError):
            if ctx._waits():
                raise
            return NotifAction.errno(errno.EINTR)  # the child is gone: nobody gets it
        action = self._action(event, self._function(event, self._context))
        if action == _CONTINUE:
            return self._continued(ctx, event, address)
        return action

    def _continued(self, ctx: HandlerCtx, event: SyscallEvent, address: bytes) -> NotifAction:
        """Have what was judged stay so where another thread may change it."""
        if event.denied:
            return NotifAction.errno(errno.EACCES)
        if event.category == NETWORK:
            self._context._expect(ctx, address)
        elif event.argv is not None:
            self._executions.begin(event.pid)
        return _CONTINUE

    def _event(self, ctx: HandlerCtx, address: bytes) -> SyscallEvent:
        category = self.calls[ctx.syscall_nr]
        host, port = peer_of(address)
        pid, parent = lineage(ctx.pid)
        executes = ctx.syscall_nr in self._execution_calls
        argv = arguments(ctx) if executes else None
        denied = (category == FILE or executes) and self._context._paths.deny_call(ctx)
        if not ctx._waits():
            raise NotifError("the call is over")
        return SyscallEvent(name_of(ctx.syscall_nr), category, pid, parent, host, port, argv, denied)

    def _action(self, event: SyscallEvent, verdict: Verdict) -> NotifAction:
        if verdict is None or (isinstance(verdict, int) and verdict == 0):
            return _CONTINUE
        if verdict is True:
            return NotifAction.errno(errno.EPERM)
        if verdict == "audit":
            _log.info("%s", event)
            return _CONTINUE
        if isinstance(verdict, int):
            return NotifAction.errno(verdict)
        raise TypeError(f'policy_fn returned {verdict!r}; return None, a bool, an errno or "audit"')


def policy_chains(
    function: object,
    context: PolicyContext,
    chains: Mapping[int, Chain],
    on_exception: OnException,
    timeout: float | None,
    has_network: bool,
) -> dict[int, Chain]:
    """Return the chains of a run with those of its policy function: it is asked before the other handlers, and what
    its context denies is enforced after them.

    Raises:
        TypeError: the function cannot be called with an event and a context.
    """
    _check(function)
    asker = _Asker(function, context)  # type: ignore[arg-type]
    first = {number: _link(asker, on_exception, timeout) for number in asker.calls}
    if not has_network:  # then there is nothing to judge
        first = {number: link for number, link in first.items() if asker.calls[number] != NETWORK}
    enforcer = PathEnforcer(context._paths)
    last = {number: _link(enforcer, on_exception, timeout) for number in numbers_of(_FILE_CALLS)}
    joined = dict(chains)
    for number, link in first.items():
        chain = chains.get(number, Chain())
        enforcing = (last[number],) if number in last else ()
        optional = number not in chains or chain.optional
        joined[number] = Chain(chain.observers, (link, *chain.deciders, *enforcing), optional=optional)
    return joined


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if not 0 < value < 2**63:
        raise ValueError(f"{name} must be positive, not {value}")


def _link(handler: Handler, on_exception: OnException, timeout: float | None) -> Link:
    (chain,) = chains_of([(0, handler)], on_exception, timeout).values()
    return chain.links[0]


def _check(function: object) -> None:
    if not callable(function):
        raise TypeError(f"policy_fn must be a function of an event and a context, not {function!r}")
    if inspect.iscoroutinefunction(function):
        raise TypeError(f"policy_fn {function!r} is asynchronous; write a plain function")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        signature = inspect.signature(function)
        raise TypeError(f"policy_fn{signature} cannot be called with two arguments, event and ctx") from None
    except ValueError:
        pass  # a builtin without a signature
