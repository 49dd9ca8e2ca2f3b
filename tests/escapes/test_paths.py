"""Links, descriptors and renames lead to no file that a path does not."""

from __future__ import annotations

import array
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandlock import HandlerCtx, NotifAction
from tests.support.handlers import Do
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

# Prints what becomes of each attempt: the name of the errno, or what was read.
PRELUDE = """
import ctypes, errno, os, socket, sys
folder, secret = sys.argv[1:3]
os.chdir(folder)
libc = ctypes.CDLL(None, use_errno=True)

def attempt(function, *arguments, **options):
    try:
        print("reached", function(*arguments, **options))
    except OSError as e:
        print(errno.errorcode[e.errno])

def read(path, dir_fd=None):
    return os.read(os.open(path, os.O_RDONLY, dir_fd=dir_fd), 100)

"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the sandbox may write, beside the secret."""
    path = tmp_path / "granted"
    path.mkdir()
    return path


def told(script: str, folder: Path, secret: Path, **options: Any) -> set[str]:
    """Make the attempts, and return the different things that became of them."""
    box = tool_sandbox([*PYTHON_PATHS, "/proc"], [folder])
    command = [sys.executable, "-Ic", PRELUDE + script, str(folder), str(secret)]
    result = box.run(command, timeout=60, **options)
    assert result.success, result.stderr
    assert secret.read_text() == "s3cret"
    return set(result.stdout.decode().split("\n")[:-1])


def test_links_to_the_secret(folder: Path, secret: Path) -> None:
    script = """
os.symlink(secret, "link")
os.symlink("/proc/self/cwd/../secret", "magic")
os.symlink("/proc/self/root" + secret, "root")
for path in ("link", "magic", "root", "../secret", "/proc/self/cwd/../secret", "/proc/self/root" + secret,
             "/proc/thread-self/root" + secret, f"/proc/{os.getpid()}/task/{os.getpid()}/cwd/../secret"):
    attempt(read, path)
"""
    assert told(script, folder, secret) == {"EACCES"}


def test_links_to_what_is_open(folder: Path, secret: Path) -> None:
    """A descriptor that only names a file is no way to open it, and a folder no way to its parent."""
    script = """
named = os.open(secret, os.O_PATH)
here = os.open(".", os.O_RDONLY)
attempt(read, f"/proc/self/fd/{named}")
attempt(read, f"/dev/fd/{named}")
attempt(read, f"/proc/self/fd/{here}/../secret")
attempt(read, "../secret", dir_fd=here)
attempt(os.truncate, f"/proc/self/fd/{named}", 0)
"""
    assert told(script, folder, secret) == {"EACCES"}


def test_hard_links(folder: Path, secret: Path) -> None:
    """EXDEV is what Landlock answers where the folders have different rules."""
    script = """
named = os.open(secret, os.O_PATH)
AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = 0x400, 0x1000
attempt(os.link, secret, "hard")
attempt(os.link, f"/proc/self/fd/{named}", "hard", follow_symlinks=True)
attempt(os.rename, secret, "moved")
open("own", "w").close()
attempt(os.link, "own", secret + "2")
attempt(os.rename, "own", secret)
for flags, source in ((AT_SYMLINK_FOLLOW, f"/proc/self/fd/{named}"), (AT_EMPTY_PATH, "")):
    done = libc.linkat(named, source.encode(), -100, b"hard", flags)
    print("reached" if done == 0 else errno.errorcode[ctypes.get_errno()])
"""
    assert told(script, folder, secret) <= {"EACCES", "EXDEV", "EPERM", "ENOENT"}
    assert [path.name for path in folder.iterdir()] == ["own"]
    assert secret.stat().st_nlink == 1


def test_a_folder_that_was_moved(folder: Path, secret: Path) -> None:
    """The way out of a folder leads through where the folder is, not through where it was."""
    script = """
os.makedirs("a/b")
deep = os.open("a/b", os.O_RDONLY)
os.chdir("a/b")
os.rename(folder + "/a/b", folder + "/b")
attempt(read, "../../secret")
attempt(read, "../../secret", dir_fd=deep)
"""
    assert told(script, folder, secret) == {"EACCES"}


@contextlib.contextmanager
def opened(path: Path | str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


PASSED = """
for path in ("secret", "./secret", "granted/../secret"):
    attempt(read, path, dir_fd=fd)
    attempt(read, f"/proc/self/fd/{fd}/{path}")
attempt(os.unlink, "secret", dir_fd=fd)
attempt(os.chmod, f"/proc/self/fd/{fd}/secret/none", 0)
attempt(os.listdir, f"/proc/self/fd/{fd}")
os.fchdir(fd)
attempt(read, "secret")
"""


def test_a_folder_of_the_hosts_from_a_handler(folder: Path, secret: Path) -> None:
    """A handler that gives one by mistake gives the names in it, and no file."""
    with opened(secret.parent) as fd:
        give = Do(lambda ctx: NotifAction.inject_fd_send(os.dup(fd)))
        told_of = told("fd = os.umask(0)\n" + PASSED, folder, secret, handlers=[("umask", give)])
    assert told_of <= {"EACCES", "ENOTDIR"}


def test_a_folder_of_the_hosts_in_a_message(folder: Path, secret: Path) -> None:
    """From a process outside that helps it, over a socket that it was given."""
    ours, theirs = socket.socketpair()
    with ours, theirs, opened(secret.parent) as fd:
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])

        def give(ctx: HandlerCtx) -> NotifAction:
            return NotifAction.inject_fd_send(os.dup(theirs.fileno()))

        script = "fd = socket.recv_fds(socket.socket(fileno=os.umask(0)), 1, 1)[1][0]\n" + PASSED
        told_of = told(script, folder, secret, handlers=[("umask", Do(give))])
    assert told_of <= {"EACCES", "ENOTDIR"}


def test_programs_in_memory_are_confined_as_well(folder: Path, secret: Path) -> None:
    """Landlock rules on files of the tree; whatever runs has the same domain and filter."""
    script = """
fd = os.memfd_create("program", 0)
os.write(fd, open("/bin/cat", "rb").read())
sys.stdout.flush()
os.execve(fd, ["cat", secret], {})
"""
    box = tool_sandbox([*PYTHON_PATHS, "/proc"], [folder])
    command = [sys.executable, "-Ic", PRELUDE + script, str(folder), str(secret)]
    result = box.run(command, timeout=60)
    assert (result.exit_code, result.stdout) == (1, b"")
    assert b"Permission denied" in result.stderr
