"""Other processes cannot be signalled, traced, read, or changed."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest

from sandlock import ExitReason, Sandbox
from tests.support.call import Attempt
from tests.support.processes import MakeFifo, Watched
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

QUEUED = struct.pack("iii116x", 0, 0, -1)
"""A siginfo_t with si_code SI_QUEUE."""

SIGNALS: dict[str, Callable[[int], tuple[object, ...]]] = {
    "kill": lambda pid: ("kill", pid, 0),
    "kill its group": lambda pid: ("kill", -os.getpgid(pid), 0),
    "tkill": lambda pid: ("tkill", pid, 0),
    "tgkill": lambda pid: ("tgkill", pid, pid, 0),
    "rt_sigqueueinfo": lambda pid: ("rt_sigqueueinfo", pid, 0, QUEUED),
    "rt_tgsigqueueinfo": lambda pid: ("rt_tgsigqueueinfo", pid, pid, 0, QUEUED),
}


@pytest.mark.parametrize("way", SIGNALS)
def test_signal(attempt: Attempt, bare_attempt: Attempt, victim: subprocess.Popen[bytes], way: str) -> None:
    """Signal 0 is checked like any other, and does no harm where it succeeds."""
    arguments = SIGNALS[way](victim.pid)
    assert bare_attempt(*arguments).error == ""
    assert attempt(*arguments).error == "EPERM"


@pytest.mark.parametrize("number", [signal.SIGCONT, signal.SIGTERM, signal.SIGKILL])
def test_signals_that_matter(attempt: Attempt, victim: subprocess.Popen[bytes], number: int) -> None:
    assert attempt("kill", victim.pid, number).error == "EPERM"
    assert victim.poll() is None


def test_signal_to_the_host(attempt: Attempt) -> None:
    assert attempt("kill", os.getpid(), 0).error == "EPERM"
    assert attempt("tgkill", os.getpid(), os.getpid(), 0).error == "EPERM"


def test_signal_by_a_descriptor(victim: subprocess.Popen[bytes]) -> None:
    script = "import os, signal, sys; signal.pidfd_send_signal(os.pidfd_open(int(sys.argv[1])), 0)"
    command = [sys.executable, "-Ic", script, str(victim.pid)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    assert b"PermissionError" in tool_sandbox(PYTHON_PATHS).run(command, timeout=60).stderr


# The kernel sends the signal of a descriptor at the moment that there is something to read.
OWNED = """
import fcntl, os, signal, sys
reader, writer = os.pipe()
fcntl.fcntl(reader, fcntl.F_SETOWN, int(sys.argv[1]))
fcntl.fcntl(reader, fcntl.F_SETSIG, int(sys.argv[2]))
fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC)
os.write(writer, b"x")
"""


def test_signal_of_a_descriptor_that_it_owns(victim: subprocess.Popen[bytes]) -> None:
    command = [sys.executable, "-Ic", OWNED, str(victim.pid)]
    tool_sandbox(PYTHON_PATHS).run([*command, str(int(signal.SIGKILL))], timeout=60, check=True)
    # The first signal that reaches it ends it.
    subprocess.run([*command, str(int(signal.SIGTERM))], check=True, timeout=60)
    assert victim.wait(60) == -signal.SIGTERM


def test_signal_to_the_reaper(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "for signal in KILL STOP TERM; do kill -$signal $PPID; echo $?; done"])
    assert (result.reason, result.stdout) == (ExitReason.EXITED, b"1\n1\n1\n")


def test_signal_to_another_sandbox(program: Program, make_fifo: MakeFifo) -> None:
    up, on = make_fifo("up"), make_fifo("on")
    other = tool_sandbox(writable=[up.path, on.path])
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(other.run, ["sh", "-c", f"echo $$ >{up.path}; read line <{on.path}"])
        pid = up.line()
        killed = tool_sandbox().run(["sh", "-c", f"kill -KILL {pid}"])
        on.release()
        assert run.result().success
    assert not killed.success


def test_signals_within_the_sandbox_work(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "setsid sleep 1000 & sleep 1000 & kill %2 2>/dev/null || kill $!; wait $!; echo $?"])
    assert result.stdout == b"143\n"


def remote(pid: int) -> tuple[int, ...]:
    """Return an address range of a process that may be read."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        start, _, rest = line.partition("-")
        if " r" in rest:
            return int(start, 16), 8
    raise AssertionError("no memory")


PTRACE_SEIZE, PTRACE_ATTACH = 0x4206, 16

INTRUSIONS: dict[str, Callable[[int], tuple[object, ...]]] = {
    "ptrace attach": lambda pid: ("ptrace", PTRACE_ATTACH, pid, 0, 0),
    "ptrace seize": lambda pid: ("ptrace", PTRACE_SEIZE, pid, 0, 0),
    "process_vm_readv": lambda pid: ("process_vm_readv", pid, bytes(16), 0, struct.pack("QQ", *remote(pid)), 1, 0),
    "process_vm_writev": lambda pid: ("process_vm_writev", pid, bytes(16), 0, struct.pack("QQ", *remote(pid)), 1, 0),
    "prlimit64": lambda pid: ("prlimit64", pid, 4, struct.pack("QQ", 0, 0), 0),
}


@pytest.mark.parametrize("way", INTRUSIONS)
def test_intrusion_of_threads(attempt: Attempt, way: str) -> None:
    """Of the supervisor, whose threads have numbers of their own."""
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    assert len(threads) > 1
    for thread in threads:
        assert attempt(*INTRUSIONS[way](thread)).error == "EPERM"


@pytest.mark.parametrize("way", INTRUSIONS)
def test_intrusion(attempt: Attempt, victim: subprocess.Popen[bytes], way: str) -> None:
    for pid in (victim.pid, os.getpid()):
        assert attempt(*INTRUSIONS[way](pid)).error == "EPERM"
    assert victim.poll() is None


SECRETS = ["environ", "mem", "maps", "auxv", "stack", "syscall", "fd/0", "root/etc/passwd", "cwd/.", "exe", "map_files"]


@pytest.mark.parametrize("file", SECRETS)
def test_proc_of_another_process(victim: subprocess.Popen[bytes], secret: Path, file: str) -> None:
    """Even where all of /proc is granted."""
    box = tool_sandbox(["/proc"])
    for pid in (victim.pid, os.getpid()):
        result = box.run(["cat", f"/proc/{pid}/{file}"])
        assert (result.success, result.stdout) == (False, b"")
        result = box.run(["ls", f"/proc/{pid}/{file}/"])
        assert (result.success, result.stdout) == (False, b"")


def test_proc_of_the_supervisors_threads(secret: Path) -> None:
    box = tool_sandbox(["/proc"])
    me = os.getpid()
    for thread in os.listdir("/proc/self/task"):
        for file in ("mem", "environ", "fd/0", f"root{secret}", "syscall"):
            for way in (f"/proc/{thread}/{file}", f"/proc/{me}/task/{thread}/{file}"):
                result = box.run(["cat", way])
                assert (result.success, result.stdout) == (False, b"")


def test_no_way_around_by_root_links(secret: Path) -> None:
    box = tool_sandbox(["/proc"])
    for way in ("self/root", "self/cwd", f"{os.getpid()}/root", f"{os.getpid()}/cwd", "1/root"):
        result = box.run(["cat", f"/proc/{way}{secret}"])
        assert (result.success, result.stdout) == (False, b"")


def test_environment_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """clean_env keeps what the host knows from the command, wherever it looks."""
    monkeypatch.setenv("SANDLOCK_SECRET", "s3cret")
    box = tool_sandbox(["/proc"], clean_env=True)
    result = box.run(["sh", "-c", "cat /proc/self/environ /proc/$$/environ /proc/$PPID/environ; env"])
    assert b"s3cret" not in result.stdout
    assert b"PATH=" in result.stdout


def test_the_victim_would_be_in_reach_without_a_sandbox(victim: subprocess.Popen[bytes]) -> None:
    """What the tests above refuse is not refused by anything else."""
    assert b"SECRET=s3cret" in Path(f"/proc/{victim.pid}/environ").read_bytes()
    with Watched(victim.pid) as process:
        assert not process.gone(0)


WITH_ANOTHER: dict[str, Callable[[int], tuple[object, ...]]] = {
    "kcmp": lambda pid: ("kcmp", os.getpid(), pid, 0, 0, 0),
    "get_robust_list": lambda pid: ("get_robust_list", pid, bytes(8), bytes(8)),
    "migrate_pages": lambda pid: ("migrate_pages", pid, 64, b"\1" + bytes(7), b"\1" + bytes(7)),
    "move_pages": lambda pid: ("move_pages", pid, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("way", WITH_ANOTHER)
def test_calls_that_take_the_right_to_trace(
    attempt: Attempt, bare_attempt: Attempt, victim: subprocess.Popen[bytes], way: str
) -> None:
    """Nobody denies these by name: Landlock denies tracing, and the kernel asks about it."""
    if bare_attempt(*WITH_ANOTHER[way](victim.pid)).error == "ENOSYS":
        pytest.skip("this kernel lacks the call")
    assert bare_attempt(*WITH_ANOTHER[way](victim.pid)).error == ""
    for pid in (victim.pid, os.getpid()):
        assert attempt(*WITH_ANOTHER[way](pid)).error == "EPERM"


def test_groups_of_others(attempt: Attempt, victim: subprocess.Popen[bytes]) -> None:
    """Neither moves a process of the host into a group, nor goes into one of the host's."""
    assert attempt("setpgid", victim.pid, 0).error == "ESRCH"
    assert attempt("setpgid", 0, os.getpgid(victim.pid)).error == "EPERM"
