"""The memory of a tree. The offenders bound themselves: what nothing stops takes no more than some 500 MB."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandlock import ExitReason, PolicyError, Result
from tests.support.cgroups import mechanism
from tests.support.processes import children, open_fds
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

PRELUDE = """
import ctypes, mmap, os, signal, sys, time
M = 1 << 20
def touch(area):
    for page in range(0, len(area), 4096):
        area[page] = 1
def look():
    time.sleep(0.3)  # time for several looks of who watches, which nothing tells of
def stay():
    signal.alarm(50)
    signal.pause()
"""


def python_in(memory: object, script: str, **fields: object) -> Result:
    box = tool_sandbox(PYTHON_PATHS, max_memory=memory, **fields)  # type: ignore[arg-type]
    return box.run([sys.executable, "-c", PRELUDE + script], timeout=60)


def assert_killed(result: Result) -> None:
    assert (result.reason, result.exceeded, result.signal) == (ExitReason.KILLED, "max_memory", signal.SIGKILL), result
    assert result.exit_code == -1
    assert result.limits == {"max_memory": mechanism("memory")}


@pytest.mark.parametrize("memory", ["64M", "65536K", 64 << 20, "0064m"])
def test_a_process_that_wants_too_much_gets_enomem(memory: object) -> None:
    script = "try: bytearray(200 * M)\nexcept MemoryError: print('no memory')"
    result = python_in(memory, script)
    assert result.stdout == b"no memory\n"
    assert result.success
    assert result.exceeded is None


def test_enough_is_enough() -> None:
    assert python_in("128M", "area = bytearray(64 * M); touch(area); print(len(area) // M)").stdout == b"64\n"


def test_a_tree_that_has_too_much_is_killed() -> None:
    script = """
for _ in range(7):
    if os.fork() == 0:
        area = bytearray(50 * M)
        touch(area)
        stay()
stay()
"""
    assert_killed(python_in("200M", script))


def test_a_process_without_its_first_thread_counts() -> None:
    script = """
import threading
def take():
    areas = [mmap.mmap(-1, 50 * M, mmap.MAP_SHARED) for _ in range(7)]
    for area in areas:
        touch(area)
    stay()
threading.Thread(target=take).start()
ctypes.CDLL(None).syscall({"x86_64": 60}.get(os.uname().machine, 93), 0)
"""
    assert_killed(python_in("200M", script))


def test_grandchildren_that_left_the_command_count() -> None:
    script = """
for _ in range(7):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            area = bytearray(50 * M)
            touch(area)
            stay()
        os._exit(0)
stay()
"""
    assert_killed(python_in("200M", script))


def test_pages_that_processes_share_count_once() -> None:
    script = """
area = bytearray(60 * M)
touch(area)
r, w = os.pipe()
for _ in range(5):
    if os.fork() == 0:
        os.close(w)
        os.read(r, 1)  # until the end
        os._exit(0)
look()
os.close(w)
for _ in range(5):
    os.wait()
print("shared")
"""
    assert python_in("200M", script).stdout == b"shared\n"


@pytest.mark.parametrize(
    "share",
    [
        "area = mmap.mmap(-1, 300 * M); touch(area); stay()",
        # Not in the page tables of any process.
        "area = mmap.mmap(-1, 300 * M); touch(area); area.madvise(mmap.MADV_DONTNEED); stay()",
        # Whoever wrote it has it mapped no more.
        """
area = mmap.mmap(-1, 300 * M)
if os.fork() == 0:
    stay()
touch(area)
area.close()
stay()""",
        # In no process at all.
        """
for _ in range(6):
    fd = os.memfd_create("hidden")
    for _ in range(50):
        os.write(fd, bytes(M))
stay()""",
    ],
    ids=["mapped", "dropped", "held by another", "memfd"],
)
def test_shared_memory_counts(share: str) -> None:
    assert_killed(python_in("200M", share))


def test_a_file_of_a_long_path_hides_no_memory(tmp_path: Path) -> None:
    """The line of its mapping, which comes before that of the shared memory, is longer than 64 KiB."""
    script = """
for _ in range(300):
    os.mkdir("n" * 250)
    os.chdir("n" * 250)
fd = os.open("file", os.O_CREAT | os.O_RDWR)
os.ftruncate(fd, mmap.PAGESIZE)
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
low, size, offset = ctypes.c_void_p(1 << 28), ctypes.c_size_t(mmap.PAGESIZE), ctypes.c_size_t(0)
assert libc.mmap(low, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, offset) == low.value
area = mmap.mmap(-1, 300 * M)
touch(area)
stay()
"""
    box = tool_sandbox(PYTHON_PATHS, [tmp_path], cwd=tmp_path, max_memory="200M")
    try:
        assert_killed(box.run([sys.executable, "-c", PRELUDE + script], timeout=60))
    finally:
        subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)  # shutil gets lost in so many folders


def test_address_space_is_no_memory() -> None:
    script = """
area = mmap.mmap(-1, 4 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
with open(sys.executable, "rb") as file:
    program = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    sum(program[::4096])
look()
print("fine")
"""
    assert python_in("64M", script).stdout == b"fine\n"


def test_a_host_that_is_large_is_not_counted() -> None:
    ballast = bytearray(300 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    for _ in range(20):
        box = tool_sandbox(max_memory="100M")
        assert box.run(["sh", "-c", "/bin/true; /bin/true"]).success
        box.create(["true"])  # it has the host's memory until it executes its program
        box.start()
        assert box.wait().success
    del ballast


def test_many_runs_leave_nothing_behind() -> None:
    box = tool_sandbox(max_memory="100M")
    box.run(["true"])
    before = open_fds(), children()
    for _ in range(20):
        assert box.run(["true"]).success
    assert (open_fds(), children()) == before


@pytest.mark.parametrize(
    "value", [0, "0", -1, 1.5, True, [1], "", "M", "1.5G", "512MB", "-1M", "1 M", "1P", "9999999T", 2**64]
)
def test_wrong_values(value: object) -> None:
    with pytest.raises(PolicyError, match=r"^max_memory.*(write|leave)"):
        tool_sandbox(max_memory=value).run(["true"])
