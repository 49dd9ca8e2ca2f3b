"""The sandbox: a policy, and the ways to run a command under it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._chain import HandlerSpec, chains_of, check_handler_timeout, check_on_exception, check_timeout
from ._decision import discard
from ._held import id_of
from ._parts import Place
from ._policy import policy_of
from ._request import Command, StrPath, command_arguments
from ._run import Run, Supervision
from ._terminal import interact
from .actions import ExceptionPolicy, NotifAction
from .errors import ChildError, HandlerError
from .handler import HandlerCtx, OnException
from .pipeline import Stage
from .process import Process
from .profiles import read_profile
from .protection import Protection
from .result import Result
from .stdio import Input, Output, Stdio, StdioMode, captured, held

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from .async_process import AsyncProcess
    from .policy_fn import PolicyFn

__all__ = ["Sandbox"]

_numbers = itertools.count(1)
_MAX_NAME_BYTES = 64
_MAX_THREADS = 1024


@dataclass
class Sandbox:
    """What a command may do. Nothing that is not granted is allowed: an empty policy cannot even execute a program.

    The fields are read afresh at each run. Relative paths are those of the working directory at that moment.
    """

    fs_readable: Sequence[StrPath] = field(default_factory=list)
    """Files and folders that may be read and executed, with all that is beneath."""
    fs_writable: Sequence[StrPath] = field(default_factory=list)
    """Files and folders that may be read, executed and changed, with all that is beneath."""
    fs_denied: Sequence[StrPath] = field(default_factory=list)
    """What stays out of reach although a listed folder contains it; wins over the other lists."""

    extra_deny_syscalls: Sequence[str] = field(default_factory=list)
    """Names or groups of system calls that are denied on top of the default deny list."""
    extra_allow_syscalls: Sequence[str] = field(default_factory=list)
    """Groups that are taken off the default deny list; only ``sysv_ipc`` can be."""

    net_allow: Sequence[str] = field(default_factory=list)
    """Peers that may be reached, such as ``"example.com:443"``, ``"10.0.0.0/8:80,8000-8010"``, ``":443"``,
    ``"tcp://[::1]:80"``, ``"udp://*:*"`` or ``"icmp://10.0.0.1"``. Without a protocol a rule is about TCP and UDP. See
    docs/network.md for what of it can be enforced; the rest is a PolicyError."""
    net_deny: Sequence[str] = field(default_factory=list)
    """Peers that may not be reached, by address, network or ``*``; wins over ``net_allow``. Without ``net_allow`` all
    others may be."""
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

    @classmethod
    def from_profile(cls, name_or_path: StrPath, **overrides: Any) -> Sandbox:
        """Return a sandbox with the fields of a profile, a TOML file given by its name or path.

        A name is looked for in ``~/.config/sandlock/profiles``, then among the built-in profiles; what has a slash or
        the ending ``.toml`` is a path. See docs/profiles.md, and :func:`sandlock.list_profiles`.

        Args:
            name_or_path: the profile.
            overrides: fields that are set to other values than the profile's.

        Raises:
            PolicyError: there is no such profile, or it is wrong; the message has file, line and key.
        """
        return cls(**{**read_profile(name_or_path).fields, **overrides})

    def __post_init__(self) -> None:
        if self.name is None:
            self.name = f"sandbox-{os.getpid()}-{next(_numbers)}"
        _check_name(self.name)
        check_on_exception("on_exception", self.on_exception)
        # References that do not keep the run: an interrupted one is over as soon as nobody has it any more.
        self._place: Place = {}
        self._spawned: Process | None = None

    def cpu_pct(self) -> int | None:
        """Return ``max_cpu`` within its bounds."""
        return None if self.max_cpu is None else max(1, min(self.max_cpu, 100))

    def run(
        self,
        cmd: Command,
        timeout: float | None = None,
        *,
        input: bytes | None = None,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        check: bool = False,
        handlers: HandlerSpec = (),
        raise_handler_errors: bool = False,
    ) -> Result:
        """Run a command to its end and return the result, with its output captured.

        A KeyboardInterrupt is passed on to the command as a SIGINT; if it has not ended a moment later it is killed.

        Args:
            cmd: the program and its arguments. A program without a slash is looked up on PATH.
            timeout: seconds after which the whole tree is killed; the result's reason is TIMEOUT then.
            input: the same as ``stdin``, for bytes.
            stdin: what the command reads. Without it stdin is the host's, unless that is a terminal.
            stdout: where the output goes, instead of into the result.
            stderr: the same for stderr; ``subprocess.STDOUT`` is where stdout goes.
            check: raise ChildError unless the exit code is 0.
            handlers: ``(syscall, handler)`` or ``(syscall, handler, on_exception)``, in the order in which they are
                asked. ``syscall`` is a name or a number.
            raise_handler_errors: raise HandlerError when something went wrong in a handler.

        Raises:
            PolicyError: the policy, the command or a registration is wrong. Nothing was started.
            ConfinementError: the kernel cannot enforce the policy. Nothing was started.
            ChildError: with ``check=True``.
            HandlerError: with ``raise_handler_errors=True``.
        """
        run = self._start(cmd, handlers, captured(stdin, stdout, stderr, input), timeout=timeout)
        try:
            result = run.finish()
        finally:
            run.close()
        return _checked(cmd, result, check, raise_handler_errors)

    async def arun(
        self,
        cmd: Command,
        timeout: float | None = None,
        *,
        input: bytes | None = None,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        check: bool = False,
        handlers: HandlerSpec = (),
        raise_handler_errors: bool = False,
    ) -> Result:
        """Do as :meth:`run` without blocking the event loop, which also awaits asynchronous handlers.

        Cancelling it kills the tree.
        """
        import asyncio  # here, because it is half of the package's import time

        loop = asyncio.get_running_loop()
        run = self._start(cmd, handlers, captured(stdin, stdout, stderr, input), timeout=timeout, loop=loop)
        try:
            result = await run.afinish(run.aserve())
        finally:
            run.close()
        return _checked(cmd, result, check, raise_handler_errors)

    def popen(
        self,
        cmd: Command,
        stdin: Input = StdioMode.INHERIT,
        stdout: Output = StdioMode.INHERIT,
        stderr: Output = StdioMode.INHERIT,
        *,
        handlers: HandlerSpec = (),
    ) -> Process:
        """Start a command and return it while it runs. See :class:`Process`, and :meth:`run` for the arguments."""
        streams = held(stdin, stdout, stderr)
        run = self._start(cmd, handlers, streams)
        run.independent = True
        return Process(run, cmd, streams.piped)

    async def apopen(
        self,
        cmd: Command,
        stdin: Input = StdioMode.INHERIT,
        stdout: Output = StdioMode.INHERIT,
        stderr: Output = StdioMode.INHERIT,
        *,
        handlers: HandlerSpec = (),
    ) -> AsyncProcess:
        """Do as :meth:`popen` for asyncio: its event loop has the streams and awaits asynchronous handlers."""
        import asyncio  # see arun

        from .async_process import AsyncProcess

        streams = held(stdin, stdout, stderr)
        run = self._start(cmd, handlers, streams, loop=asyncio.get_running_loop())
        run.independent = True
        process = AsyncProcess(run, cmd, streams.piped)
        await process.connect()
        return process

    def run_with_handlers(self, cmd: Command, handlers: HandlerSpec, name: str | None = None) -> Result:
        """Run a command with handlers; the same as ``run(cmd, handlers=handlers)`` under another name."""
        if name is not None:
            _check_name(name)
        return self.run(cmd, handlers=handlers)

    def run_interactive(self, cmd: Command, *, handlers: HandlerSpec = ()) -> int:
        """Run a command with the host's own stdin, stdout and stderr, and return its exit code.

        Where stdin is a terminal the command gets one of its own, to and from which everything is copied: a shell has
        job control, Ctrl-C and Ctrl-Z go to its foreground job, and it learns of a new window size if this is called in
        the main thread. See docs/processes.md.

        Returns:
            The exit status; -1 when the command did not exit by itself, 127 when it could not be executed.

        Raises:
            SandboxError: there can be no more pseudoterminals.
            As :meth:`run` does.
        """
        return interact(lambda streams: self._start(cmd, handlers, streams)).exit_code

    def cmd(self, args: Command) -> Stage:
        """Make a stage of a pipeline, as in ``(box.cmd(["sort", path]) | box.cmd(["uniq"])).run()``."""
        return Stage(self, args)

    def create(self, cmd: Command, *, stdin: Input = None, handlers: HandlerSpec = ()) -> None:
        """Make the process of a command, which stays just before executing the program until :meth:`start`."""
        self._spawn(cmd, stdin, handlers, waiting=True)

    def start(self) -> None:
        """Let the command of :meth:`create` go on.

        Raises:
            RuntimeError: there is none.
        """
        run = self._run
        if run is None or not run.waiting:
            raise RuntimeError(f"cannot start in sandbox {self.name!r}: no command waits there; call create first")
        run.release()

    def spawn(self, cmd: Command, *, stdin: Input = None, handlers: HandlerSpec = ()) -> None:
        """Start a command beside the host, with its output captured; :meth:`wait` returns its result."""
        self._spawn(cmd, stdin, handlers, waiting=False)

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end of the command that was spawned, or created and started, and return the result.

        Raises:
            RuntimeError: there is none.
            subprocess.TimeoutExpired: it runs on after ``timeout`` seconds.
        """
        run = self._run
        if run is not None and run.waiting:
            raise RuntimeError(f"cannot wait for sandbox {self.name!r}: its command waits itself; call start first")
        if run is not None and (self._spawned is None or not self._spawned.is_of(run)):
            raise RuntimeError(f"cannot wait for sandbox {self.name!r}: its command belongs to another call")
        if self._spawned is None:
            raise RuntimeError(f"cannot wait for sandbox {self.name!r}: nothing was spawned in it")
        return self._spawned.wait(timeout)

    @property
    def is_running(self) -> bool:
        """Whether a command runs."""
        return self._run is not None

    @property
    def pid(self) -> int | None:
        """The process ID of the command that runs, or None."""
        run = self._run
        return None if run is None else run.pid or None

    @property
    def held(self) -> list[HandlerCtx]:
        """The calls that a handler holds."""
        run = self._run
        return [] if run is None else run.held()

    def answer(self, call: HandlerCtx | int, action: NotifAction) -> bool:
        """Answer a call that a handler holds, given by its context or its id.

        Returns:
            False when the call is over, because its child was killed or interrupted, or was answered before. The
            action's descriptor is closed all the same.
        """
        run = self._run
        if run is None:
            id_of(call, action)
            discard(action)
            return False
        return run.answer(call, action)

    def kill(self) -> None:
        """Kill the command that runs, and its whole tree."""
        self._running("kill").kill()

    def pause(self) -> None:
        """Stop every process of the command that runs, by SIGSTOP."""
        self._running("pause").pause(True)

    def resume(self) -> None:
        """Let every process go on, by SIGCONT."""
        self._running("resume").pause(False)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what still runs, and wait until it is gone."""
        run = self._run
        if run is not None:
            run.kill()
            run.wait()
        self._spawned = None

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what still runs, and wait until it is gone, without blocking the event loop."""
        run = self._run
        if run is not None:
            import asyncio  # here, because it is half of the package's import time

            run.kill()
            await asyncio.get_running_loop().run_in_executor(None, run.wait)
        self._spawned = None

    def _running(self, verb: str) -> Run:
        run = self._run
        if run is None:
            raise RuntimeError(f"cannot {verb} sandbox {self.name!r}: nothing runs in it")
        if run.independent:
            raise RuntimeError(f"cannot {verb} sandbox {self.name!r}: its command is a Process; {verb} that")
        return run

    @property
    def _run(self) -> Run | None:
        """The run that is under way."""
        for run in list(self._place.values()):
            return run()
        return None

    def _spawn(self, cmd: Command, stdin: Input, handlers: HandlerSpec, waiting: bool) -> None:
        run = self._start(cmd, handlers, captured(stdin, None, None), waiting=waiting)
        self._spawned = Process(run, cmd, ())

    def _start(
        self,
        cmd: Command,
        handlers: HandlerSpec,
        streams: Stdio,
        *,
        timeout: float | None = None,
        waiting: bool = False,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> Run:
        """Start a command, in whichever way it is going to be waited for."""
        request = {
            "policy": policy_of(self),
            "args": command_arguments(cmd),
            "timeout": check_timeout("timeout", timeout),
            "held": waiting,
            **streams.request(),
        }
        run = Run(self._supervision(handlers))
        try:
            if not run.claim(self._place):
                raise RuntimeError(f"sandbox {self.name!r} is running a command already; use another instance")
            run.start(request, loop)
            if streams.source is not None:
                run.feed(streams.source)
        except BaseException:
            run.close()
            raise
        return run

    def _supervision(self, handlers: HandlerSpec) -> Supervision:
        check_on_exception("on_exception", self.on_exception)
        timeout = check_handler_timeout("handler_timeout", self.handler_timeout)
        threads = self.handler_threads
        if isinstance(threads, bool) or not isinstance(threads, int):
            raise TypeError(f"handler_threads must be an int, not {type(threads).__name__}")
        if not 1 <= threads <= _MAX_THREADS:
            raise ValueError(f"handler_threads must be from 1 to {_MAX_THREADS}, not {threads}")
        chains = chains_of(handlers, self.on_exception, timeout)
        if self.policy_fn is None:
            return Supervision(chains, threads)
        from .policy_fn import PolicyContext, policy_chains

        context = PolicyContext()
        has_network = any((self.net_allow, self.net_deny, self.net_allow_bind, self.net_deny_bind))
        chains = policy_chains(self.policy_fn, context, chains, self.on_exception, timeout, has_network)
        return Supervision(chains, threads, context)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a str, not {type(name).__name__}")
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"name {name!r} must not be empty, '.' or '..', nor hold '/' or NUL")
    size = len(os.fsencode(name))
    if size > _MAX_NAME_BYTES:
        raise ValueError(f"name {name!r} has {size} bytes; {_MAX_NAME_BYTES} are allowed")


def _checked(cmd: Command, result: Result, check: bool, raise_handler_errors: bool) -> Result:
    if raise_handler_errors and result.handler_errors:
        raise HandlerError(result)
    if check and not result.success:
        raise ChildError([os.fsdecode(arg) for arg in cmd], result)
    return result
