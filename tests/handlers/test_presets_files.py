"""VirtualFilesHandler serves files that are nowhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sandlock import Sandbox
from sandlock.presets import VirtualFilesHandler
from tests.support.acts import AT_FDCWD, Back, Buffer, Call, act
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

OPENS = ["openat", "openat2"]


def test_a_program_reads_them(box: Sandbox, tmp_path: Path) -> None:
    files = VirtualFilesHandler({f"{tmp_path}/none/such": b"abc", "/etc/passwd": b"nobody here\n"})
    handlers = [(name, files) for name in OPENS]
    result = box.run(["cat", f"{tmp_path}/none/such", "/etc/passwd", "/etc/group"], handlers=handlers)
    assert result.stdout == b"abcnobody here\n" + Path("/etc/group").read_bytes()


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


def test_they_are_read_only(acts: Path, tmp_path: Path) -> None:
    path = f"{tmp_path}/file"
    flags = {
        os.O_RDONLY: "",
        os.O_RDWR: "EROFS",
        os.O_WRONLY | os.O_CREAT: "EROFS",
        os.O_RDONLY | os.O_TRUNC: "EROFS",
        os.O_RDONLY | os.O_CREAT | os.O_EXCL: "EEXIST",
        os.O_RDONLY | os.O_DIRECTORY: "ENOTDIR",
    }
    handlers = [("openat", VirtualFilesHandler({path: b"abc"}))]
    calls: list[Call] = [("openat", AT_FDCWD, path, flag, 0o600) for flag in flags]
    done = act(tool_sandbox([acts], [tmp_path]), acts, calls, handlers=handlers)
    assert [call.error for call in done] == list(flags.values())
    assert not os.path.exists(path)


def test_each_open_begins_at_the_start(acts: Path, tmp_path: Path) -> None:
    os.symlink(f"{tmp_path}/file", tmp_path / "link")
    handlers = [("openat", VirtualFilesHandler({f"{tmp_path}/file": b"abc"}))]
    calls: list[Call] = []
    for path in ("file", "./file", "link"):
        calls += [("openat", AT_FDCWD, path, os.O_RDONLY | os.O_CLOEXEC), ("read", Back(1), Buffer(8), 8)]
        calls += [("write", Back(2), b"x", 1)]
    done = act(tool_sandbox([acts], [tmp_path], cwd=tmp_path), acts, calls, handlers=handlers)
    assert [call.data.rstrip(b"\0") for call in done[1::3]] == [b"abc"] * 3
    assert {call.error for call in done[2::3]} <= {"EPERM", "EBADF"}


@pytest.mark.parametrize(
    ("files", "kind", "error"),
    [
        ([], TypeError, r"files must be a mapping of paths to bytes, not \[\]"),
        ({"etc": b""}, ValueError, "files: 'etc' is no absolute path"),
        ({"/etc": "text"}, TypeError, r"files\['/etc'\] must be bytes, not str"),
    ],
)
def test_wrong_files(files: Any, kind: type[Exception], error: str) -> None:
    with pytest.raises(kind, match=error):
        VirtualFilesHandler(files)
