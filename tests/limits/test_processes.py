"""The number of processes of a tree."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from sandlock import ExitReason, PolicyError, Result
from tests.support.handlers import Answer
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

TOKENS = 300
"""What a bomb may fork when nothing stops it."""


def python_in(most: int, script: str, *arguments: object, **fields: object) -> Result:
    box = tool_sandbox(PYTHON_PATHS, max_processes=most, **fields)  # type: ignore[arg-type]
    return box.run([sys.executable, "-c", script, *map(str, arguments)], timeout=60)


# Every process forks until it cannot, tells of each fork and of the end, and stays.
BOMB = """
import os, signal, sys
most, tokens = map(int, sys.argv[1:])
allowed, give = os.pipe()
os.write(give, b"-" * tokens + b"T" * 1000)
told, tell = os.pipe()
leader = os.getpid()
while (end := os.read(allowed, 1)) != b"T":
    try:
        if os.fork():
            os.write(tell, b"F")
    except BlockingIOError:
        end = b"E"
        break
os.write(tell, end)
if os.getpid() != leader:
    signal.pause()
seen = b""
while seen.count(b"E") + seen.count(b"T") < most:
    seen += os.read(told, 1)
print(seen.count(b"F"), seen.count(b"E"), seen.count(b"T"))
"""


@pytest.mark.parametrize("most", [1, 2, 7, 20])
def test_fork_bomb(most: int) -> None:
    result = python_in(most, BOMB, most, TOKENS)
    assert result.stdout.split() == [b"%d" % (most - 1), b"%d" % most, b"0"], result
    assert result.reason == ExitReason.EXITED
    assert result.limits == {"max_processes": "supervisor"}


def test_refused_fork_is_eagain_and_works_again_later() -> None:
    script = """
import errno, os
def attempt():
    try:
        pid = os.fork()
    except OSError as error:
        return errno.errorcode[error.errno]
    if pid == 0:
        os._exit(0)
    return "child"
print(*[attempt() for _ in range(3)])  # a zombie is a process
os.wait()
os.wait()
print(*[attempt() for _ in range(2)])
"""
    assert python_in(3, script).stdout.split(b"\n")[:2] == [b"child child EAGAIN", b"child child"]


def test_processes_that_leave_their_parent_count() -> None:
    script = """
import os, signal
refused = 0
for _ in range(10):
    r, w = os.pipe()
    try:
        if os.fork() == 0:
            os.setsid()
            try:
                os.fork()
            except OSError:
                os.write(w, b"refused")
                os._exit(0)
            os.write(w, b"made")
            os.close(w)
            signal.pause()
        os.close(w)
        refused += os.read(r, 10) == b"refused"
    except OSError:
        refused += 1
print(refused)
"""
    result = python_in(7, script)
    assert int(result.stdout) >= 7, result


@pytest.mark.parametrize("command", ["/bin/true", "(true)", "/bin/true | /bin/true"])
def test_many_short_processes_one_after_the_other(command: str) -> None:
    script = f"for i in $(seq 150); do {command} || exit 9; done"
    assert tool_sandbox(max_processes=3).run(["sh", "-c", script], timeout=60).exit_code == 0


def test_processes_at_once_use_all_that_there_is() -> None:
    loop = "(for i in $(seq 100); do /bin/true || exit 9; done)"
    script = f"{loop} & a=$!; {loop} & b=$!; wait $a && wait $b"
    assert tool_sandbox(max_processes=5).run(["sh", "-c", script], timeout=60).exit_code == 0


# Each round the second process makes a third one, which is gone before anybody looks, and the first one makes one more,
# for which there is room only if that is known. Meanwhile the second one does what argv[2] says, and a last one calls
# getppid.
ROUNDS = """
import mmap, os, sys, time
rounds, meanwhile = int(sys.argv[1]), sys.argv[2]
shared = memoryview(mmap.mmap(-1, 4096)).cast("q")  # calls of getppid, rounds that are over, rounds that were of use
def fork():
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
if os.fork() == 0:
    while shared[1] < rounds:
        os.getppid()
        shared[0] += 1
    os._exit(0)
go, do = os.pipe()
made, tell = os.pipe()
if os.fork() == 0:
    while os.read(go, 1) == b"g":
        over = shared[1]
        fork()
        os.write(tell, b"m")
        while meanwhile == "run" and shared[1] == over:
            pass
    os._exit(0)
longest = 0
begin = time.monotonic()
while shared[1] < rounds:
    os.write(do, b"g")
    os.read(made, 1)
    before = shared[0]
    fork()
    longest = max(longest, shared[0] - before)
    shared[1] = rounds if meanwhile == "run" and longest >= 1000 else shared[1] + 1
os.write(do, b"e")
os.wait()
os.wait()
print(longest >= 1000, time.monotonic() - begin < 20)
"""


def test_others_are_answered_while_it_is_unknown_whether_there_is_room() -> None:
    handler = Answer()
    box = tool_sandbox(PYTHON_PATHS, max_processes=4)
    command = [sys.executable, "-Ic", ROUNDS, "20", "run"]
    result = box.run(command, handlers=[("getppid", handler)], timeout=100)
    assert result.stdout.split()[:1] == [b"True"], (result, result.stderr)
    assert handler.calls >= 1000


def test_a_fork_is_over_when_its_task_sleeps() -> None:
    """Nobody waits for half a second for each: for 30 seconds in all."""
    result = python_in(4, ROUNDS, 60, "sleep")
    assert result.stdout.split()[1:] == [b"True"], (result, result.stderr)


def test_threads_are_not_processes() -> None:
    script = """
import threading
threads = [threading.Thread(target=barrier.wait) for barrier in [threading.Barrier(51)] for _ in range(50)]
for thread in threads:
    thread.start()
threads[0]._target()
for thread in threads:
    thread.join()
print("joined")
"""
    assert python_in(1, script).stdout == b"joined\n"


def test_thread_bomb() -> None:
    script = """
import threading
threading.stack_size(64 * 1024)
end = threading.Event()
made = 0
try:
    for _ in range(1500):
        threading.Thread(target=end.wait).start()
        made += 1
except RuntimeError as error:
    print(error)
end.set()
print(made)
"""
    assert python_in(1, script).stdout == b"can't start new thread\n1023\n"


def test_spawned_children_count() -> None:
    script = """
import subprocess, sys
sleeper = subprocess.Popen(["cat"], stdin=subprocess.PIPE)  # by vfork
try:
    subprocess.run(["true"])
except BlockingIOError as error:
    print(error.errno)
sleeper.communicate()
print(subprocess.run(["true"]).returncode)
"""
    assert python_in(2, script).stdout.split() == [b"%d" % errno.EAGAIN, b"0"]


def test_each_run_has_its_own() -> None:
    script = "/bin/true & /bin/true & wait; echo done"
    boxes = [tool_sandbox(max_processes=3).popen(["sh", "-c", script], stdout=subprocess.PIPE) for _ in range(4)]
    for process in boxes:
        with process:
            assert process.stdout is not None
            assert process.stdout.read() == b"done\n"


def test_handlers_of_the_user_are_asked_after_it() -> None:
    handler = Answer()
    script = "(exit 3); (exit 4) & (exit 5) & (exit 6) & wait"
    box = tool_sandbox(max_processes=1)
    result = box.run(["sh", "-c", script], handlers=[("clone", handler), ("fork", handler), ("vfork", handler)])
    assert result.exit_code != 0
    assert handler.calls == 0


def test_denied_calls_stay_denied() -> None:
    box = tool_sandbox(PYTHON_PATHS, max_processes=5, extra_deny_syscalls=["clone", "fork", "vfork"])
    script = "import os\ntry: os.fork()\nexcept OSError as e: print(e.errno)"
    assert int(box.run([sys.executable, "-c", script]).stdout) == errno.EPERM


@pytest.mark.parametrize("value", [0, -1, 1.5, "3", True, [1]])
def test_wrong_values(value: object) -> None:
    with pytest.raises(PolicyError, match=r"^max_processes.*write|leave"):
        tool_sandbox(max_processes=value).run(["true"])
