"""A state machine over the Python API: whatever is called in whatever order, what happens is what the model allows.

No step hangs, raises what it should not, or leaves something behind.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from sandlock import ExitReason, NotifAction, PolicyError, Process, Result, SandboxError, StdioMode
from tests.states.commands import COMMANDS, Command
from tests.support.footprint import Footprint
from tests.support.processes import Watched
from tests.support.sandboxes import tool_sandbox

__all__ = ["Machine"]

PATIENCE = 60.0
"""Seconds after which a step hangs."""
MOMENT = 0.01

commands = st.sampled_from(COMMANDS)
places = st.sampled_from([StdioMode.PIPED, StdioMode.NULL])
Timeout = subprocess.TimeoutExpired

STARTS = ("spawn", "create", "popen", "run")
SIMPLE = ("wait", "start", "kill", "pause", "resume", "leave")


@dataclass
class Running:
    """What is known of a command that was started."""

    command: Command
    waiting: bool = False
    """Whether it was created, and not started yet."""
    ending: bool = False
    """Whether it was killed."""
    independent: bool = False
    """Whether it is a Process."""

    @property
    def stays(self) -> bool:
        """Whether it runs for certain."""
        return (self.waiting or self.command.stays) and not self.ending


class Machine(RuleBasedStateMachine):
    before: Footprint | None = None
    """What this process had before the first machine."""

    def __init__(self) -> None:
        super().__init__()
        if Machine.before is None:
            Machine.before = Footprint.now()
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        self.box = tool_sandbox()
        self.current: Running | None = None  # in the sandbox; it may be over unless it stays
        self.spawned: Running | None = None  # what wait is about
        self.awaited = False  # whether it has told of its end
        self.processes: list[tuple[Process, Running]] = []

    # What a step gives: a value, or the class of an exception.

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return self.result(self.pool.submit(function, *args, **options))

    def result(self, future: concurrent.futures.Future[Any]) -> Any:
        try:
            return future.result(PATIENCE)
        except concurrent.futures.TimeoutError:
            raise AssertionError(f"it hangs for {PATIENCE} seconds") from None
        except (SandboxError, Timeout) as error:
            return type(error)

    def occupied(self, outcome: Any) -> bool:
        """Check what came of starting something, and say whether the place was taken."""
        if outcome is SandboxError:
            assert self.current is not None, "it refuses to run in an idle sandbox"
            return True
        assert not isinstance(outcome, type), outcome
        assert self.current is None or not self.current.stays, "two run at once"
        return False

    # The sandbox

    @rule(command=commands, held=st.booleans())
    def spawn(self, command: Command, held: bool) -> None:
        function = self.box.create if held else self.box.spawn
        if not self.occupied(self.call(function, command.args, handlers=command.handlers)):
            self.current = self.spawned = Running(command, waiting=held)
            self.awaited = False

    @rule()
    def start(self) -> None:
        outcome = self.call(self.box.start)
        if self.current is not None and self.current.waiting and not self.current.ending:
            assert outcome is None
            self.current.waiting = False
        elif self.current is None or not self.current.waiting:
            assert outcome is SandboxError, outcome
        elif outcome is None:
            self.current.waiting = False

    @rule()
    def wait(self) -> None:
        outcome = self.call(self.box.wait, MOMENT)
        self.awaited |= isinstance(outcome, Result)
        if self.spawned is None or (self.current is not None and self.current.waiting and self.current.stays):
            assert outcome is SandboxError, outcome
        elif self.current is not None and self.current.stays:
            assert outcome is (Timeout if self.current is self.spawned else SandboxError), outcome
        elif self.current is None:
            self.check(outcome, self.spawned)
        elif isinstance(outcome, Result):
            self.current = None
            self.check(outcome, self.spawned)

    @rule(name=st.sampled_from(["kill", "pause", "resume"]))
    def control(self, name: str) -> None:
        outcome = self.call(getattr(self.box, name))
        unseen = self.spawned is not None and not self.awaited  # that it has ended is told by wait alone
        if self.current is None or (self.current.independent and not self.current.stays):
            assert outcome is SandboxError or (unseen and outcome is None), outcome
        elif self.current.independent:
            assert outcome is SandboxError, outcome
        elif self.current.stays:
            assert outcome is None, outcome
        if outcome is None and name == "kill" and self.current is not None and not self.current.independent:
            self.current.ending = True

    @rule(command=commands)
    def run(self, command: Command) -> None:
        options = {"timeout": 0.05, "stdin": StdioMode.NULL, "handlers": command.handlers}
        outcome = self.call(self.box.run, command.args, **options)
        if not self.occupied(outcome):
            self.current = None
            self.check(outcome, Running(command))

    @rule(command=commands, cancelled=st.booleans())
    def arun(self, command: Command, cancelled: bool) -> None:
        async def ask() -> Result | None:
            run = self.box.arun(command.args, None if cancelled else 0.05, handlers=command.handlers)
            with contextlib.suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(run, 0.05 if cancelled else None)
            return None

        outcome = self.call(asyncio.run, ask())
        if not self.occupied(outcome):
            self.current = None

    @rule(
        handlers=st.sampled_from(
            [[("umask", object())], [("nosuchcall", COMMANDS[6].handler)], [("mount", None)], [(True, None)], None]
        )
    )
    def wrong_registration(self, handlers: Any) -> None:
        for function in (self.box.run, self.box.spawn, self.box.popen):
            try:
                function(["true"], handlers=handlers)
            except (TypeError, ValueError, PolicyError):
                continue
            raise AssertionError("a wrong registration is taken")

    @rule()
    def is_running(self) -> None:
        running, pid = self.box.is_running, self.box.pid
        if self.current is None:
            assert (running, pid) == (False, None)
        elif self.current.stays:
            assert running
            assert pid is not None

    @rule(action=st.sampled_from([NotifAction.returns(1), NotifAction.errno(1), NotifAction.continue_()]))
    def answer(self, action: NotifAction) -> None:
        for ctx in self.call(lambda: self.box.held):
            assert self.call(self.box.answer, ctx, action) in (True, False)

    @rule()
    def leave(self) -> None:
        assert self.call(self.box.__exit__, None, None, None) is None
        assert not self.box.is_running
        self.current = self.spawned = None
        for _, running in self.processes:
            running.ending = True

    @rule()
    def another(self) -> None:
        """Lose the sandbox, which ends what was spawned in it."""
        stays = self.current is not None and self.current is self.spawned and self.current.stays
        with watch(self.box.pid if stays else None):
            self.box = tool_sandbox()
            self.current = self.spawned = None
            gc.collect()

    # Its processes

    @rule(command=commands, stdin=places, stdout=places)
    def popen(self, command: Command, stdin: StdioMode, stdout: StdioMode) -> None:
        outcome = self.call(self.box.popen, command.args, stdin, stdout, StdioMode.NULL, handlers=command.handlers)
        if not self.occupied(outcome):
            self.current = Running(command, independent=True)
            self.processes.append((outcome, self.current))

    @precondition(lambda self: self.processes)
    @rule(which=st.integers(0, 9), name=st.sampled_from(["poll", "wait", "communicate"]))
    def look(self, which: int, name: str) -> None:
        process, running = self.processes[which % len(self.processes)]
        options = {"poll": {}, "wait": {"timeout": MOMENT}, "communicate": {"timeout": MOMENT}}[name]
        outcome = self.call(getattr(process, name), **options)
        if running.stays:
            assert outcome in (None, Timeout), outcome
        if isinstance(outcome, (Result, tuple)):
            running.ending = True
            if isinstance(outcome, Result):
                self.check(outcome, running)
            if running is self.current:
                self.current = None

    @precondition(lambda self: self.processes)
    @rule(which=st.integers(0, 9), name=st.sampled_from(["kill", "pause", "resume", "terminate"]))
    def signal(self, which: int, name: str) -> None:
        process, running = self.processes[which % len(self.processes)]
        assert self.call(getattr(process, name)) is None
        running.ending |= name in ("kill", "terminate")

    @precondition(lambda self: self.processes)
    @rule(which=st.integers(0, 9))
    def answer_process(self, which: int) -> None:
        process, _ = self.processes[which % len(self.processes)]
        for ctx in self.call(lambda: process.held):
            assert self.call(process.answer, ctx, NotifAction.inject_bytes(b"late")) in (True, False)

    @precondition(lambda self: self.processes)
    @rule(which=st.integers(0, 9))
    def leave_process(self, which: int) -> None:
        process, running = self.processes.pop(which % len(self.processes))
        assert self.call(process.__exit__, ValueError, ValueError(), None) is None
        assert isinstance(self.call(process.wait), Result)
        if running is self.current:
            self.current = None
            assert not self.box.is_running

    @precondition(lambda self: self.processes)
    @rule(which=st.integers(0, 9))
    def lose_process(self, which: int) -> None:
        process, running = self.processes.pop(which % len(self.processes))
        with watch(process.pid if running.stays else None):
            del process
            gc.collect()
        if running is self.current:
            running.ending = True

    # Several threads at once: who comes first is anybody's guess, so that nothing is left running afterwards.

    @rule(names=st.lists(st.sampled_from([*STARTS, *SIMPLE]), min_size=2, max_size=4), command=commands)
    def at_once(self, names: Sequence[str], command: Command) -> None:
        box = self.box
        calls: dict[str, Callable[[], Any]] = {
            "spawn": lambda: box.spawn(command.args, handlers=command.handlers),
            "create": lambda: box.create(command.args, handlers=command.handlers),
            "popen": lambda: box.popen(command.args, *[StdioMode.NULL] * 3, handlers=command.handlers),
            "run": lambda: box.run(command.args, 0.05, stdin=StdioMode.NULL, handlers=command.handlers),
            "wait": lambda: box.wait(MOMENT),
            "leave": lambda: box.__exit__(None, None, None),
        }
        futures = [self.pool.submit(calls.get(name) or getattr(box, name)) for name in names]
        for future in futures:
            outcome = self.result(future)
            assert outcome in (None, SandboxError, Timeout) or isinstance(outcome, (Result, Process)), outcome
        self.leave()

    def end(self, process: Process) -> None:
        process.kill()
        assert isinstance(self.call(process.wait), Result)

    @staticmethod
    def check(result: Result, running: Running) -> None:
        """Check that a result makes sense."""
        assert isinstance(result.reason, ExitReason)
        assert result.success == (result.exit_code == 0)
        if running.command.name == "missing":
            assert result.exit_code in (127, -1)
        if running.command.name == "echo" and result.success and not running.independent:
            assert (result.stdout, result.stderr) == (b"out\n", b"err\n")

    def teardown(self) -> None:
        while self.processes:
            self.end(self.processes.pop()[0])
        self.leave()
        self.pool.shutdown()
        del self.box
        assert Machine.before is not None
        end = time.monotonic() + PATIENCE
        while (left := Machine.before.grown()) and time.monotonic() < end:
            time.sleep(0.001)  # no event tells of the end of a thread
        assert left == [], left


@contextlib.contextmanager
def watch(pid: int | None) -> Iterator[None]:
    """Wait for the end of a process, if one is given, at the end of the block."""
    if pid is None:
        yield
        return
    with Watched(pid) as watched:
        yield
        assert watched.gone(PATIENCE), f"process {pid} lives on"
