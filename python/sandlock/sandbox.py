"""The sandbox: the ways to run a command under a policy."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._chain import HandlerSpec, chains_of, check_handler_timeout, check_on_exception, check_timeout
from ._decision import discard
from ._fields import Fields, check_name
from ._held import id_of
from ._parts import Place
from ._policy import policy_of
from ._request import Command, StrPath, command_arguments
from ._run import Run, Supervision
from ._shown import Shown
from ._terminal import interact
from .actions import NotifAction
from .exceptions import ChildError, HandlerError, SandboxError
from .handler import HandlerCtx
from .pipeline import Stage
from .process import Process
from .profiles import read_profile
from .result import Result
from .stdio import Input, Output, Stdio, StdioMode, captured, held

if TYPE_CHECKING:
    import asyncio

    from .async_process import AsyncProcess

__all__ = ["Sandbox"]

_MAX_THREADS = 1024


@dataclass
class Sandbox(Fields, Shown):
    """What a command may do. Nothing that is not granted is allowed: an empty policy cannot even execute a program.

    The fields are read afresh at each run. Relative paths are those of the working directory at that moment.
    """

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
        super().__post_init__()
        # References that do not keep the run: an interrupted one is over as soon as nobody has it any more.
        self._place: Place = {}
        self._spawned: Process | None = None
        self._awaited = False

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
            TypeError: an argument is of a wrong type; ValueError, of a wrong value. Nothing was started.
            ConfinementError: the kernel cannot enforce the policy. Nothing was started.
            SandboxError: a command runs in this sandbox already, or starting or supervising this one failed.
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

        Raises:
            SandlockError: as for :meth:`run`.
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
        """Start a command and return it while it runs. See :class:`Process`, and :meth:`run` for the arguments.

        Raises:
            SandlockError: the command was not started, for the same reasons as in :meth:`run`.
        """
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
        """Do as :meth:`popen` for asyncio: its event loop has the streams and awaits asynchronous handlers.

        Raises:
            SandlockError: the command was not started, for the same reasons as in :meth:`run`.
        """
        import asyncio  # see arun

        from .async_process import AsyncProcess

        streams = held(stdin, stdout, stderr)
        run = self._start(cmd, handlers, streams, loop=asyncio.get_running_loop())
        run.independent = True
        process = AsyncProcess(run, cmd, streams.piped)
        await process.connect()
        return process

    def run_with_handlers(self, cmd: Command, handlers: HandlerSpec, name: str | None = None) -> Result:
        """Run a command with handlers; the same as ``run(cmd, handlers=handlers)`` under another name.

        Args:
            name: that of the sandbox during this run; None leaves it.

        Raises:
            SandlockError: as for :meth:`run`.
        """
        if name is None:
            return self.run(cmd, handlers=handlers)
        own, self.name = self.name, name
        try:
            return self.run(cmd, handlers=handlers)
        finally:
            self.name = own

    def run_interactive(self, cmd: Command, *, handlers: HandlerSpec = ()) -> int:
        """Run a command with the host's own stdin, stdout and stderr, and return its exit code.

        Where stdin is a terminal the command gets one of its own, to and from which everything is copied: a shell has
        job control, Ctrl-C and Ctrl-Z go to its foreground job, and it learns of a new window size if this is called in
        the main thread. See docs/processes.md.

        Returns:
            The exit status; -1 when the command did not exit by itself, 127 when it could not be executed.

        Raises:
            SandboxError: there can be no more pseudoterminals.
            PolicyError: as for :meth:`run`.
            ConfinementError: as for :meth:`run`.
        """
        return interact(lambda streams: self._start(cmd, handlers, streams)).exit_code

    def cmd(self, args: Command) -> Stage:
        """Make a stage of a pipeline, as in ``(box.cmd(["sort", path]) | box.cmd(["uniq"])).run()``."""
        return Stage(self, args)

    def create(self, cmd: Command, *, stdin: Input = None, handlers: HandlerSpec = ()) -> None:
        """Make the process of a command, which stays just before executing the program until :meth:`start`.

        Raises:
            SandlockError: the command was not started, for the same reasons as in :meth:`run`.
        """
        self._spawn(cmd, stdin, handlers, waiting=True)

    def start(self) -> None:
        """Let the command of :meth:`create` go on.

        Raises:
            SandboxError: there is none.
        """
        run = self._run
        if run is None or not run.waiting:
            raise SandboxError(f"cannot start in sandbox {self.name!r}: no command waits there; call create first")
        run.release()

    def spawn(self, cmd: Command, *, stdin: Input = None, handlers: HandlerSpec = ()) -> None:
        """Start a command beside the host, with its output captured; :meth:`wait` returns its result.

        Raises:
            SandlockError: the command was not started, for the same reasons as in :meth:`run`.
        """
        self._spawn(cmd, stdin, handlers, waiting=False)

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end of the command that was spawned, or created and started, and return the result.

        Raises:
            SandboxError: there is none.
            subprocess.TimeoutExpired: it runs on after ``timeout`` seconds.
        """
        run = self._run
        if run is not None and run.waiting:
            raise SandboxError(f"cannot wait for sandbox {self.name!r}: its command waits itself; call start first")
        if run is not None and (self._spawned is None or self._spawned._run is not run):
            raise SandboxError(f"cannot wait for sandbox {self.name!r}: its command belongs to another call")
        if self._spawned is None:
            raise SandboxError(f"cannot wait for sandbox {self.name!r}: nothing was spawned in it")
        result = self._spawned.wait(timeout)
        self._awaited = True
        return result

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

        Raises:
            NotifError: the kernel refuses the answer, such as a descriptor for a full table.
            SandboxError: the answer's descriptor was given before, or is closed.
        """
        run = self._run
        if run is None:
            id_of(call, action)
            discard(action)
            return False
        return run.answer(call, action)

    def kill(self) -> None:
        """Kill the command that runs, and its whole tree.

        Does nothing, as :meth:`pause` and :meth:`resume`, when the command of :meth:`spawn` has ended already, as long
        as nobody has waited for it.

        Raises:
            SandboxError: nothing runs, or what runs is a :class:`Process`, which has this method itself.
        """
        self._running("kill").kill()

    def pause(self) -> None:
        """Stop every process of the command that runs, by SIGSTOP.

        Raises:
            SandboxError: nothing runs, or what runs is a :class:`Process`, which has this method itself.
        """
        self._running("pause").pause(True)

    def resume(self) -> None:
        """Let every process go on, by SIGCONT.

        Raises:
            SandboxError: nothing runs, or what runs is a :class:`Process`, which has this method itself.
        """
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
        if run is None and self._spawned is not None and not self._awaited:
            run = self._spawned._run  # it may end at any moment, of which the caller is told by wait alone
        if run is None:
            raise SandboxError(f"cannot {verb} sandbox {self.name!r}: nothing runs in it")
        if run.independent:
            raise SandboxError(f"cannot {verb} sandbox {self.name!r}: its command is a Process; {verb} that")
        return run

    @property
    def _run(self) -> Run | None:
        """The run that is under way."""
        for run in list(self._place.values()):
            return run()
        return None

    def _spawn(self, cmd: Command, stdin: Input, handlers: HandlerSpec, waiting: bool) -> None:
        run = self._start(cmd, handlers, captured(stdin, None, None), waiting=waiting)
        self._spawned, self._awaited = Process(run, cmd, ()), False

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
        check_name(self.name)
        run = Run(self._supervision(handlers))
        try:
            if not run.claim(self._place):
                raise SandboxError(f"sandbox {self.name!r} is running a command already; use another instance")
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
            raise TypeError(f"handler_threads must be an int, not {threads!r}")
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


def _checked(cmd: Command, result: Result, check: bool, raise_handler_errors: bool) -> Result:
    if raise_handler_errors and result.handler_errors:
        raise HandlerError(result)
    if check and not result.success:
        raise ChildError([os.fsdecode(arg) for arg in cmd], result)
    return result
