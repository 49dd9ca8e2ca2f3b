"""The disk space of a tree. The offenders bound themselves: what nothing stops writes no more than some 200 MB."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from sandlock import ExitReason, PolicyError, Result
from tests.support.processes import children, open_fds
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

PRELUDE = """
import ctypes, os, signal, threading, time
M = 1 << 20
EXIT = {"x86_64": 60}.get(os.uname().machine, 93)
def hold():
    files = []
    for i in range(25):
        files += [open("file", "wb")]
        os.unlink("file")
        files[i].write(bytes(4 * M))
    stay()
def fill(name, size):
    with open(name, "wb", buffering=0) as file:
        for _ in range(size // M):
            file.write(os.urandom(M))
def stay():
    signal.alarm(50)
    signal.pause()
"""


def python_in(folder: Path, disk: object, script: str, **options: Any) -> Result:
    box = tool_sandbox(PYTHON_PATHS, [folder], cwd=folder, max_disk=disk)
    return box.run([sys.executable, "-c", PRELUDE + script], timeout=60, **options)


def assert_killed(result: Result) -> None:
    assert (result.reason, result.exceeded, result.signal) == (ExitReason.KILLED, "max_disk", signal.SIGKILL), result
    assert result.limits == {"max_disk": "supervisor"}


@pytest.mark.parametrize(
    "offence",
    [
        "for i in range(50): fill(f'file{i}', 4 * M)",
        "for i in range(25):\n os.mkdir(f'{i}')\n os.chdir(f'{i}')\n fill('file', 4 * M)",
        "hold()",
        "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE\nhold()",
        "threading.Thread(target=hold).start()\nctypes.CDLL(None).syscall(EXIT, 0)",
        "for i in range(5): os.posix_fallocate(os.open(f'{i}', os.O_CREAT | os.O_WRONLY), 0, 9 * M)",
        "for i in range(50):\n if os.fork() == 0:\n  fill(f'file{i}', 4 * M)\n  stay()",
        "os.mkdir('hidden')\nfor i in range(5): fill(f'hidden/{i}', 4 * M)\nos.chmod('hidden', 0)",
        "fill('file', 9 * M)\nfor i in range(2500): os.mknod(f'{i}')",
    ],
    ids=["files", "folders", "deleted", "not shown", "threads", "allocated", "processes", "unreadable", "inodes"],
)
def test_a_tree_that_takes_too_much_is_killed(tmp_path: Path, offence: str) -> None:
    assert_killed(python_in(tmp_path, "10M", offence + "\nstay()"))
    if (tmp_path / "hidden").exists():
        (tmp_path / "hidden").chmod(0o700)


def test_deleted_files_of_a_tmpfs_count() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        assert_killed(python_in(Path(folder), "10M", "hold()"))


def test_files_in_memory_that_no_folder_had_do_not_count(tmp_path: Path) -> None:
    script = "for i in range(5): os.write(os.memfd_create('a'), bytes(4 * M))"
    assert python_in(tmp_path, "10M", script).exceeded is None


def test_processes_that_end_hide_nothing(tmp_path: Path) -> None:
    """Nobody but root may look at what has ended, or is about to, and has no memory any more."""
    script = """
for _ in range(20):
    if os.fork() == 0:
        os._exit(0)
end = time.monotonic() + 3  # time for a hundred looks, which nothing tells of
while time.monotonic() < end:
    pid = os.fork()
    if pid == 0:
        area = bytearray(M)
        os.execv("/bin/true", ["true"])
    os.waitpid(pid, 0)
print("done")
"""
    result = python_in(tmp_path, "10M", script)
    assert (result.stdout, result.exceeded) == (b"done\n", None)


@pytest.mark.parametrize("disk", ["8M", 8 << 20])
def test_a_file_that_gets_too_long_is_refused(tmp_path: Path, disk: object) -> None:
    script = "try: fill('file', 20 * M)\nexcept OSError as e: print(e.errno, os.stat('file').st_size // M)"
    result = python_in(tmp_path, disk, script)
    assert result.stdout.split() == [b"27", b"8"]  # EFBIG
    assert result.exceeded is None


def test_who_does_not_ignore_it_dies_of_sigxfsz(tmp_path: Path) -> None:
    box = tool_sandbox(writable=[tmp_path], max_disk="1M")
    result = box.run(["sh", "-c", f"exec seq 1000000 > {tmp_path}/file"])
    assert (result.reason, result.signal) == (ExitReason.SIGNALED, signal.SIGXFSZ)


def test_sparse_files_count_by_their_blocks_and_are_bounded_by_their_length(tmp_path: Path) -> None:
    script = """
for i in range(100):
    with open(f"sparse{i}", "wb") as file:
        file.truncate(9 * M)
try:
    os.truncate("sparse0", 1 << 40)
except OSError as error:
    print(error.errno)
"""
    result = python_in(tmp_path, "10M", script)
    assert (result.stdout, result.exceeded) == (b"27\n", None)
    assert result.success


@pytest.mark.parametrize(
    "work",
    [
        "for i in range(20):\n fill('file', 4 * M)\n os.unlink('file')",
        "fill('file', 4 * M)\nfor i in range(100): os.link('file', f'{i}')",
        "with open('before', 'r+b') as file: file.write(bytes(9 * M))",
        "os.unlink('before')\nfor i in range(4): fill(f'{i}', 4 * M)",
        "os.symlink('/usr', 'elsewhere')",
        "fill('file', 9 * M)",
    ],
    ids=["deleted again", "links", "overwritten", "replaced", "symlink", "just enough"],
)
def test_what_does_not_grow_does_not_count(tmp_path: Path, work: str) -> None:
    (tmp_path / "before").write_bytes(os.urandom(20 << 20))
    result = python_in(tmp_path, "10M", work)
    assert result.success, result.stderr
    assert result.exceeded is None


# Exchanges folders with what argv[2] names and says how often. There is nothing in argv[1] before.
EXCHANGE = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
os.chdir(sys.argv[1])
names = [(b"folder%d" % i, b"other%d" % i) for i in range(200)]
for folder, other in names:
    os.mkdir(folder)
    os.mkfifo(other) if sys.argv[2] == "fifo" else os.symlink(sys.argv[2], other)
end = time.monotonic() + 3
times = 0
while time.monotonic() < end:
    for folder, other in names:
        if libc.renameat2(-100, folder, -100, other, 2):  # AT_FDCWD, RENAME_EXCHANGE
            sys.exit("it cannot exchange")
    times += 1
print(times > 0)
"""

# Runs argv[2:] where it may write argv[1].
HOST = """
import sys
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
box = tool_sandbox(PYTHON_PATHS, [sys.argv[1]], max_disk="100M")
result = box.run(sys.argv[2:], timeout=30)
print(result.stdout, result.exceeded)
"""


@pytest.mark.parametrize("other", ["fifo", "link"])
def test_a_folder_that_is_exchanged_keeps_nobody_waiting(tmp_path: Path, other: str) -> None:
    """A host that opens the FIFO waits for ever for who writes to it."""
    folder, outside = tmp_path / "granted", tmp_path / "outside"
    folder.mkdir()
    os.mkfifo(outside)
    exchange = [sys.executable, "-Ic", EXCHANGE, str(folder), "fifo" if other == "fifo" else str(outside)]
    command = [sys.executable, "-c", HOST, str(folder), *exchange]
    host = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, timeout=60, check=True)
    assert host.stdout == b"b'True\\n' None\n"


@pytest.mark.parametrize("offence", ["fill('file', 9 * M)", "for i in range(4): fill(f'{i}', 4 * M)"])
def test_deep_folders(tmp_path: Path, offence: str) -> None:
    """Their paths are longer than a path may be, and they are more than the host keeps open."""
    script = f"for i in range(100):\n os.mkdir('x' * 100)\n os.chdir('x' * 100)\n{offence}"
    box = tool_sandbox(PYTHON_PATHS, [tmp_path], cwd=tmp_path, max_disk="12M")
    result = box.run([sys.executable, "-c", PRELUDE + script], timeout=60)
    assert result.exceeded == (None if "'file'" in offence else "max_disk"), result
    assert box.run(["true"], timeout=60).success


def test_what_was_unreadable_before_does_not_matter(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    assert python_in(tmp_path, "10M", "").success
    locked.chmod(0o700)


def test_who_is_quicker_than_the_supervisor_is_told_of(tmp_path: Path) -> None:
    result = python_in(tmp_path, "10M", "for i in range(4): fill(f'{i}', 4 * M)")
    assert result.exceeded == "max_disk"
    assert result.reason in (ExitReason.KILLED, ExitReason.EXITED)


def test_files_of_the_host_do_not_count(tmp_path: Path) -> None:
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write(bytes(30 << 20))
        file.seek(0)
        result = python_in(tmp_path, "10M", "import sys; print(len(sys.stdin.buffer.read()) // M)", stdin=file)
    assert (result.stdout, result.exceeded) == (b"30\n", None)


def test_a_folder_that_is_moved_is_measured_all_the_same(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    script = "os.read(0, 1)\nfor i in range(25): fill(f'{i}', 4 * M)\nstay()"
    box = tool_sandbox(PYTHON_PATHS, [work], cwd=work, max_disk="10M")
    command = [sys.executable, "-c", PRELUDE + script]
    with box.popen(command, stdin=subprocess.PIPE) as process:
        work.rename(tmp_path / "moved")
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.close()
        assert_killed(process.wait())


def test_nothing_stays_open(tmp_path: Path) -> None:
    box = tool_sandbox(writable=[tmp_path], max_disk="10M")
    box.run(["true"])
    before = open_fds(), children()
    for _ in range(5):
        assert box.run(["true"]).success
        assert not box.run(["/nonexistent/program"]).success
        assert not box.run(["nonexistent"]).success
        with pytest.raises(PolicyError):
            tool_sandbox(writable=[tmp_path], max_disk="10M", cwd="/nonexistent").run(["true"])
    assert (open_fds(), children()) == before


@pytest.mark.parametrize("value", [-1, 1.5, True, [1], "", "M", "1.5G", "10MB"])
def test_wrong_values(value: object) -> None:
    with pytest.raises(PolicyError, match=r"^max_disk.*(write|leave)"):
        tool_sandbox(max_disk=value).run(["true"])
