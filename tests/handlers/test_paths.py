"""read_path knows which argument of a call is its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox
from sandlock._syscalls import number_of
from tests.support.call import call
from tests.support.handlers import CONTINUE, Do
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

# fmt: off
FIRST = [
    "open", "creat", "unlink", "mkdir", "rmdir", "stat", "lstat", "access", "readlink", "chmod", "chown", "lchown",
    "truncate", "statfs", "chdir", "execve", "setxattr", "lsetxattr", "getxattr", "lgetxattr", "listxattr",
    "llistxattr", "removexattr", "lremovexattr",
]
SECOND = [
    "openat", "openat2", "unlinkat", "mkdirat", "mknodat", "newfstatat", "statx", "faccessat", "faccessat2",
    "readlinkat", "fchmodat", "fchownat", "utimensat", "execveat",
]
# fmt: on
TWO = ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"]
NONE = ["read", "close", "getppid", "kill", "fstat", "ftruncate", "fchdir", "umask", "getcwd"]


def known(name: str) -> bool:
    """Say whether this machine has the call; arm64 lacks the oldest."""
    try:
        number_of(name)
    except ValueError:
        return False
    return True


@pytest.fixture
def caller(program: Program) -> Path:
    return program("call")


class Paths(Do):
    """Answers the test's own call with 0, and keeps what read_path gives. Lets the calls of libc through."""

    def __init__(self, arg: int | None = None) -> None:
        super().__init__(self._note)
        self._arg = arg
        self.seen: list[object] = []

    def _note(self, ctx: HandlerCtx) -> NotifAction:
        if ctx.read_cstr(ctx.args[0], 2) != "s0":
            return CONTINUE
        try:
            self.seen.append(ctx.read_path(self._arg))
        except ValueError as error:
            self.seen.append(str(error))
        return NotifAction.returns(0)


def seen_by(paths: Paths, caller: Path, name: str) -> object:
    """Make a call whose six arguments are the strings s0 to s5."""
    arguments = [f"s{number}" for number in range(6)]
    call(tool_sandbox([caller]), caller, str(number_of(name)), *arguments, handlers=[(name, paths)])
    (seen,) = paths.seen
    return seen


@pytest.mark.parametrize("name", [*FIRST, *SECOND])
def test_table(caller: Path, name: str) -> None:
    if not known(name):
        pytest.skip(f"this machine has no {name}")
    assert seen_by(Paths(), caller, name) == ("s0" if name in FIRST else "s1")


@pytest.mark.parametrize("name", [*TWO, *NONE])
def test_not_in_the_table(caller: Path, name: str) -> None:
    if not known(name):
        pytest.skip(f"this machine has no {name}")
    message = "takes two paths" if name in TWO else "not known to take a path"
    assert message in str(seen_by(Paths(), caller, name))
    assert "arg=" in str(seen_by(Paths(), caller, name))


@pytest.mark.parametrize("arg", range(6))
def test_any_argument(caller: Path, arg: int) -> None:
    assert seen_by(Paths(arg), caller, "getppid") == f"s{arg}"
    assert seen_by(Paths(arg), caller, "renameat2") == f"s{arg}"
    assert seen_by(Paths(arg), caller, "mkdirat") == f"s{arg}"


@pytest.mark.parametrize("arg", [-1, 6, 100, -(2**70)])
def test_no_such_argument(caller: Path, arg: int) -> None:
    assert "from 0 to 5" in str(seen_by(Paths(arg), caller, "mkdirat"))


class Note(Do):
    """Lets every call through and keeps its path."""

    def __init__(self) -> None:
        super().__init__(self._note)
        self.seen: list[str | None] = []

    def _note(self, ctx: HandlerCtx) -> NotifAction:
        self.seen.append(ctx.read_path())
        return CONTINUE


@pytest.mark.parametrize(
    ("syscall", "command", "path"),
    [
        ("openat", ["cat", "file"], "file"),
        ("unlinkat", ["rm", "-f", "file"], "file"),
        ("unlinkat", ["rmdir", "folder"], "folder"),
        ("mkdirat", ["mkdir", "new"], "new"),
        ("newfstatat", ["ls", "-l", "file"], "file"),
        ("execve", ["sh", "-c", "/bin/true; :"], "/bin/true"),
        ("chdir", ["sh", "-c", "cd folder"], None),
    ],
)
def test_calls_of_real_programs(tmp_path: Path, syscall: str, command: list[str], path: str | None) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    others = {"unlinkat": ["unlink", "rmdir"], "mkdirat": ["mkdir"], "newfstatat": ["statx", "lstat"]}
    note = Note()
    box = tool_sandbox(writable=[tmp_path], cwd=tmp_path)
    handlers = [(name, note) for name in (syscall, *others.get(syscall, [])) if known(name)]
    box.run(command, handlers=handlers, check=True)
    assert (path or f"{tmp_path}/folder") in note.seen


def test_the_first_execve_is_the_commands(box: Sandbox) -> None:
    note = Note()
    box.run(["/bin/true"], handlers=[("execve", note)], check=True)
    assert note.seen == ["/bin/true"]
