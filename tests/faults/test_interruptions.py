"""Signals that interrupt host and command all the time, and trees and hosts that are stopped and go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction
from tests.support.cgroups import own_cgroup
from tests.support.handlers import Do
from tests.support.processes import PATIENCE, Fifo, MakeFifo, host_command, host_environment, run_host
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.scenarios import SCENARIOS

# A timer at 1 kHz interrupts the host: Python runs a function, or C does, without SA_RESTART, in whatever thread it is.
STORM = """
    import ctypes, signal, sys
    from tests.support.processes import children, open_fds
    from tests.support.scenarios import SCENARIOS

    scenario = SCENARIOS[sys.argv[1]]
    scenario("")
    before = open_fds(), children()
    ticks = []
    if sys.argv[2] == "Python":
        signal.signal(signal.SIGALRM, lambda number, frame: ticks.append(number))
    else:
        libc = ctypes.CDLL(None)
        libc.signal.restype = ctypes.c_void_p
        libc.signal(signal.SIGALRM, ctypes.cast(libc.abs, ctypes.c_void_p))
        libc.siginterrupt(signal.SIGALRM, 1)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    results = [scenario("") for _ in range(5)]
    signal.setitimer(signal.ITIMER_REAL, 0)
    print([result for result in results if not result.success or result.handler_errors])
    print((open_fds(), children()) == before, bool(ticks) == (sys.argv[2] == "Python"))
"""


@pytest.mark.parametrize("by", ["Python", "C"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_storm_in_the_host(scenario: str, by: str) -> None:
    done = run_host(STORM, scenario, by)
    assert done.stdout == "[]\nTrue True\n", done.stdout + done.stderr


def test_storm_in_the_command(program: Program) -> None:
    """Each call of a command that is interrupted all the time gets one answer, and its handler is asked once.

    A call that waits to be received may be interrupted (docs/decisions/012): it is asked about then, or not at all.
    """
    from sandlock import NotifAction

    asked: list[int] = []

    def answer(ctx: HandlerCtx) -> NotifAction:
        asked.append(ctx.args[0])
        return NotifAction.returns(ctx.args[0])

    result = tool_sandbox([program("storm").parent]).run(
        [str(program("storm")), "2000"], handlers=[("getpgid", Do(answer))], timeout=100, check=True
    )
    answered, interrupted, ticks = map(int, result.stdout.split())
    print(f"{answered} calls answered, {interrupted} interrupted, {ticks} signals")
    assert answered == 2000
    assert ticks > 0
    assert answered <= len(asked) <= answered + interrupted
    assert sorted(set(asked)) == list(range(1, 2001))


# Its command tells when it is at work.
AT_WORK = """
    import sys
    from pathlib import Path
    from tests.support.handlers import Answer
    from tests.support.sandboxes import tool_sandbox

    folder, answer = Path(sys.argv[1]), Answer()
    script = f"echo $$ >{folder}/up; i=0; while [ $i -lt 300 ]; do cd /; i=$((i+1)); done; echo end"
    result = tool_sandbox(writable=[folder]).run(["sh", "-c", script], handlers=[("chdir", answer)], timeout=100)
    print(result.stdout, answer.calls, result.handler_errors)
"""

STOPS = 20
WHO = ["host", "command", "both"]


class AtWork:
    """A host and its command at work, and who of them is to be stopped."""

    def __init__(self, folder: Path, up: Fifo, who: str) -> None:
        self._host = subprocess.Popen(
            host_command(AT_WORK, folder),
            env=host_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        command = int(up.line())
        self.pids = {"host": [self._host.pid], "command": [command], "both": [self._host.pid, command]}[who]

    def signal(self, number: int) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):  # the command has ended
                os.kill(pid, number)

    def came_through(self) -> None:
        """Check that each call was answered once, and the command went on to its end."""
        output, errors = self._host.communicate(timeout=PATIENCE)
        assert output == "b'end\\n' 300 []\n", errors

    def end(self) -> None:
        self._host.kill()
        self._host.communicate()


@pytest.fixture
def at_work(tmp_path: Path, make_fifo: MakeFifo, request: pytest.FixtureRequest) -> Iterator[AtWork]:
    work = AtWork(tmp_path, make_fifo("up"), request.param)
    yield work
    work.end()


@pytest.mark.parametrize("at_work", WHO, indirect=True)
def test_stopped_and_continued(at_work: AtWork) -> None:
    for _ in range(STOPS):
        at_work.signal(signal.SIGSTOP)
        while state_of(at_work.pids[0]) not in "TZX":  # a command that waits for a stopped host stops later
            os.sched_yield()
        at_work.signal(signal.SIGCONT)
    at_work.came_through()


def state_of(pid: int) -> str:
    """Return the letter of the state of a process, X when it is gone. See proc_pid_stat(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


@pytest.fixture
def freezer() -> Iterator[Path]:
    """A cgroup that can be frozen, see cgroups(7)."""
    place = own_cgroup()
    if place is None:
        pytest.skip("no cgroup v2 is mounted")
    mount, own = place
    for base in (own, mount):
        group = base / f"test-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
            break
    else:
        pytest.skip(f"user {os.getuid()} may make no cgroup in {own} or {mount}")
    yield group
    while "populated 1" in (group / "cgroup.events").read_text():
        os.sched_yield()
    group.rmdir()


@pytest.mark.parametrize("at_work", WHO, indirect=True)
def test_frozen_and_thawed(freezer: Path, at_work: AtWork) -> None:
    for pid in at_work.pids:
        with contextlib.suppress(ProcessLookupError):
            (freezer / "cgroup.procs").write_text(str(pid))
    for _ in range(STOPS):
        (freezer / "cgroup.freeze").write_text("1")
        # A command that waits for an answer is frozen when it has it: with its host it may never be.
        for _ in range(1000):
            if "frozen 1" in (freezer / "cgroup.events").read_text():
                break
        (freezer / "cgroup.freeze").write_text("0")
    at_work.came_through()
