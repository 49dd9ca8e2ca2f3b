"""Each system call of the supervisor fails once: the run ends clearly, its tree is gone, and nothing is left.

strace makes the calls fail, in a host that runs a scenario again and again: the first of each name, the second and so
on. SANDLOCK_FAULTS says how many of each name are tried in a scenario, and SANDLOCK_SEED which ones.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import select
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import host_command, host_environment, marked
from tests.support.scenarios import SCENARIOS
from tests.support.strace import Tracer

MOST = int(os.environ.get("SANDLOCK_FAULTS", "1"))
SEED = int(os.environ.get("SANDLOCK_SEED", "1"))

ERRORS: dict[str, str] = {
    "bind": "EADDRINUSE",
    "capget": "EPERM",
    "capset": "EPERM",
    "clone": "EAGAIN",
    "clone3": "EAGAIN",
    "close_range": "ENOMEM",
    "connect": "ENOMEM",
    "dup3": "EMFILE",
    "epoll_ctl": "ENOMEM",
    "eventfd2": "EMFILE",
    "execve": "ENOMEM",
    "fchdir": "EACCES",
    "fchmod": "EPERM",
    "fcntl": "EMFILE",
    "fstat": "ENOMEM",
    "fstatfs": "ENOMEM",
    "ftruncate": "ENOSPC",
    "getdents64": "ENOMEM",
    "getgroups": "EPERM",
    "getpeername": "ENOBUFS",
    "getpgid": "EPERM",
    "getrlimit": "EPERM",
    "getsockopt": "EPERM",
    "ioctl": "EINVAL",
    "landlock_add_rule": "ENOMEM",
    "landlock_create_ruleset": "EMFILE",
    "landlock_restrict_self": "E2BIG",
    "listen": "EADDRINUSE",
    "lseek": "ESPIPE",
    "memfd_create": "EMFILE",
    "mmap": "ENOMEM",
    "newfstatat": "ENOMEM",
    "openat": "EMFILE",
    "openat2": "EMFILE",
    "pidfd_getfd": "EMFILE",
    "pidfd_open": "EMFILE",
    "pidfd_send_signal": "EPERM",
    "pipe2": "EMFILE",
    "poll": "ENOMEM",
    "ppoll": "ENOMEM",
    "prctl": "EPERM",
    "pread64": "EIO",
    "pwrite64": "EIO",
    "prlimit64": "EPERM",
    "process_vm_readv": "EPERM",
    "process_vm_writev": "EPERM",
    "read": "EIO",
    "readlinkat": "EACCES",
    "sched_setaffinity": "EPERM",
    "seccomp": "ENOMEM",
    "setfsgid": "EPERM",
    "setfsuid": "EPERM",
    "setgroups": "EPERM",
    "setns": "EPERM",
    "setresgid": "EPERM",
    "setresuid": "EPERM",
    "setsid": "EPERM",
    "signalfd4": "EMFILE",
    "socket": "EMFILE",
    "socketpair": "EMFILE",
    "timerfd_create": "EMFILE",
    "timerfd_settime": "EPERM",
    "umask": "EPERM",
    "unlinkat": "EBUSY",
    "unshare": "ENOMEM",
    "wait4": "ECHILD",
    "waitid": "EPERM",
    "write": "EIO",
}
"""What each fails with."""

ONLY: dict[str, tuple[set[str], str]] = {
    "ioctl": (SCENARIOS.keys() - {"network"}, "its performer drops calls that the kernel does not call valid any more"),
    "mmap": ({"plain", "handlers"}, "Thread.start of CPython waits for ever for a thread that has no memory to begin"),
    "write": ({"plain"}, "elsewhere it also wakes a thread through an eventfd, which cannot fail, and Go panics"),
}
"""What is tried in some scenarios only, and why. close(2) is in none: strace would leave the descriptor open."""

# Runs a scenario when it is told to, and tells what came of it, or what it has open and at work. What strace has made
# fail while it tells it tries again.
HOST = """
    import contextlib, gc, json, logging, os, signal, sys, threading
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # in the threads of Go as well
    from pathlib import Path
    from sandlock import _core
    from tests.support.processes import children, open_fds
    from tests.support.scenarios import SCENARIOS

    logging.getLogger("sandlock").addHandler(logging.NullHandler())

    def tell(value):
        text = json.dumps(value).encode() + b"\\n"
        while text:
            with contextlib.suppress(OSError):
                text = text[os.write(1, text):]

    def is_zombie(pid):
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()

    def state():
        gc.collect()
        return {
            "descriptors": {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in sorted(open_fds())},
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "processes": [pid for pid in children() if not is_zombie(pid)],
            "runs": _core.NumHandles(),
            "frames": Path("/proc/self/maps").read_text().count("sandlock-frame"),
        }

    def order():
        text = b""
        while not text.endswith(b"\\n"):
            with contextlib.suppress(OSError):
                text += os.read(0, 1) or sys.exit()
        return text.decode().strip()

    while True:
        word = order()
        if word == "state":
            tell(state())
            continue
        tell("ready")
        signal.sigwait({signal.SIGUSR1})
        try:
            result = SCENARIOS[word]("")
            tell({"success": result.success, "error": None})
        except BaseException as error:
            tell({"success": False, "error": f"{type(error).__name__}: {error}"})
"""

HANG = 60.0
"""Seconds after which a run does not end any more."""


class Host:
    """A process that runs scenarios."""

    def __init__(self, folder: Path) -> None:
        self.marker = f"sandlock-failing-{os.getpid()}-{os.urandom(8).hex()}"
        self._errors = folder / "stderr"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                host_command(HOST),
                env=host_environment(SANDLOCK_TEST_MARKER=self.marker),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
            )
        self.pid = self._process.pid
        self._said = b""

    def order(self, word: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        return self.answer()

    def answer(self) -> Any:
        """Return what it tells next. That it tells nothing is an error that says why."""
        assert self._process.stdout is not None
        while b"\n" not in self._said:
            ready, _, _ = select.select([self._process.stdout], [], [], HANG)
            assert ready, f"it hangs; its threads are in {self._places()}"
            data = self._process.stdout.read(1 << 16)
            assert data, f"it died with {self._process.wait(HANG)}: {self._errors.read_text()[:2000]}"
            self._said += data
        line, _, self._said = self._said.partition(b"\n")
        return json.loads(line)

    def _places(self) -> dict[str, str]:
        tasks = Path(f"/proc/{self.pid}/task")
        return {task.name: (task / "wchan").read_text() for task in tasks.iterdir()}

    def go(self) -> None:
        os.kill(self.pid, signal.SIGUSR1)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    with contextlib.ExitStack() as stack:
        stack.callback(host.end)
        yield host


def chosen(scenario: str, name: str, count: int) -> list[int]:
    """Return which of so many calls are to fail, counted from 1."""
    chance = random.Random(f"{SEED} {scenario} {name}")
    return sorted(chance.sample(range(1, count + 1), min(count, MOST)))


def is_clear(message: str, error: str) -> bool:
    """Say whether a message tells the errno, or what CPython makes of it."""
    known = (
        os.strerror(getattr(errno, error)).lower(),
        "memoryerror",
        "can't start new thread",
        "[errno 22]",
        "not open",
    )
    return any(text in message.lower() for text in known)


class Trial:
    """Runs a scenario in a host, with or without a fault, and finds out what is wrong afterwards."""

    def __init__(self, strace: str, host: Host, scenario: str, log: Path) -> None:
        self._strace, self._host, self._scenario, self._log = strace, host, scenario, log
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        for _ in range(2):  # the runtimes take what they keep
            answer, self.calls = self._run()
            assert answer == {"success": True, "error": None}
        self._clean = host.order("state")

    def _run(self, fault: str | None = None) -> tuple[Any, dict[str, int]]:
        assert self._host.order(self._scenario) == "ready"
        with Tracer(self._strace, self._host.pid, self._log, fault) as tracer:
            self._host.go()
            answer = self._host.answer()
            return answer, {} if fault else tracer.calls()

    def inject(self, name: str, when: str) -> Any:
        """Run with calls of that name failing, and return what the host tells."""
        fault = f"{name}:error={ERRORS[name]}{when}"
        try:
            answer, _ = self._run(fault)
            state = self._host.order("state")
        except AssertionError as error:
            raise AssertionError(f"{fault}: {error}") from None
        self.outcomes["success" if answer["success"] else "error" if answer["error"] else "failure"] += 1
        if answer["error"] and not is_clear(answer["error"], ERRORS[name]):
            self.problems.append(f"{fault}: {answer['error']}")
        left = {what: (self._clean[what], state[what]) for what in state if state[what] != self._clean[what]}
        if left:
            self.problems.append(f"{fault}: leaves {left}, after {answer}")
            self._clean = state
        return answer

    def judge(self) -> None:
        assert not self.problems, "\n".join(self.problems)
        self._host.end()
        assert marked(self._host.marker) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_call_fails(strace: str, tmp_path: Path, host: Host, scenario: str) -> None:
    trial = Trial(strace, host, scenario, tmp_path / "log")
    for name in sorted(trial.calls.keys() & ERRORS.keys()):
        if name not in ONLY or scenario in ONLY[name][0]:
            for number in chosen(scenario, name, trial.calls[name]):
                trial.inject(name, f":when={number}")
    print(f"{scenario}: {sum(trial.outcomes.values())} faults: {dict(trial.outcomes)}")
    print("not tried:", *sorted(trial.calls.keys() - ERRORS.keys()))
    trial.judge()


@pytest.mark.parametrize("name", ["ioctl", "pidfd_open", "ppoll", "seccomp", "waitid"])
def test_it_always_fails(strace: str, tmp_path: Path, host: Host, name: str) -> None:
    """As where a filter around the host refuses the call."""
    trial = Trial(strace, host, "handlers", tmp_path / "log")
    assert trial.inject(name, "")["error"]
    trial.judge()
