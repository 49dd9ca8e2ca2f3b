"""perform with a judge: what the paths of a call lead to is judged before anything is done to it."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox
from sandlock._syscalls import number_of
from tests.support.acts import AT_FDCWD, Buffer, Call, act
from tests.support.handlers import Do
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

REFUSED = NotifAction.errno(errno.EXDEV)


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


@pytest.fixture
def box(acts: Path, tmp_path: Path) -> Sandbox:
    (tmp_path / "file").write_text("content")
    (tmp_path / "other").write_text("another")
    os.symlink("file", tmp_path / "link")
    return tool_sandbox([acts], [tmp_path], cwd=tmp_path)


def opening(path: str, flags: int = os.O_RDONLY, mode: int = 0) -> Call:
    """Open with a call that no libc makes by itself."""
    return ("openat2", AT_FDCWD, path, struct.pack("=QQQ", flags, mode, 0), 24)


def test_judge_sees_what_the_paths_lead_to(box: Sandbox, acts: Path, tmp_path: Path) -> None:
    for call, expected in {
        opening("./link"): ["file"],
        opening("link", os.O_RDONLY | os.O_NOFOLLOW): ["link"],
        opening("missing"): [],
        opening("new", os.O_WRONLY | os.O_CREAT, 0o600): ["new"],
        opening("."): [""],
        opening(""): [],
        ("newfstatat", AT_FDCWD, "link", Buffer(144), 0): ["file"],
        ("newfstatat", AT_FDCWD, "link", Buffer(144), 0x100): ["link"],
        ("readlinkat", AT_FDCWD, "link", Buffer(9), 9): ["link"],
        ("unlinkat", AT_FDCWD, "../missing/x", 0): [],
        ("linkat", AT_FDCWD, "link", AT_FDCWD, "linked", 0x400): ["file", "linked"],
        ("symlinkat", "/etc/shadow", AT_FDCWD, "symlink"): ["symlink"],
        ("renameat2", AT_FDCWD, "link", AT_FDCWD, "./moved", 0): ["link", "moved"],
        ("mkdirat", AT_FDCWD, "made/", 0o700): ["made"],
    }.items():
        names: list[str] = []

        def look(ctx: HandlerCtx, names: list[str] = names) -> NotifAction:
            return ctx.perform(judge=names.append)

        act(box, acts, [call], handlers=[(str(call[0]), Do(look))])
        assert names == [f"{tmp_path}/{name}".rstrip("/") for name in expected], call


def test_nothing_is_done_to_what_judge_refuses(box: Sandbox, acts: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    calls: list[Call] = [
        opening("file", os.O_WRONLY | os.O_TRUNC),
        opening("new", os.O_WRONLY | os.O_CREAT, 0o600),
        ("unlinkat", AT_FDCWD, "file", 0),
        ("unlinkat", AT_FDCWD, "folder", 0x200),
        ("renameat2", AT_FDCWD, "other", AT_FDCWD, "file", 0),
        ("linkat", AT_FDCWD, "other", AT_FDCWD, "new", 0),
        ("symlinkat", "x", AT_FDCWD, "new"),
        ("mkdirat", AT_FDCWD, "new", 0o700),
        ("mknodat", AT_FDCWD, "new", 0o010600, 0),
        ("fchmodat", AT_FDCWD, "file", 0),
        ("fchownat", AT_FDCWD, "file", 12, 34, 0),
        ("truncate", "file", 0),
        ("utimensat", AT_FDCWD, "file", 0, 0),
    ]
    refused = ("file", "new", "folder")

    def judge(name: str) -> NotifAction | None:
        return REFUSED if os.path.basename(name) in refused else None

    before = {path: (path.lstat(), path.is_file() and path.read_bytes()) for path in tmp_path.iterdir()}
    handler = Do(lambda ctx: ctx.perform(judge=judge))
    done = act(box, acts, calls, handlers=[(name, handler) for name in {str(call[0]) for call in calls}])
    assert {found.error for found in done} == {"EXDEV"}
    after = {path: (path.lstat(), path.is_file() and path.read_bytes()) for path in tmp_path.iterdir()}
    assert [(path, content) for path, (_, content) in after.items()] == [
        (path, content) for path, (_, content) in before.items()
    ]
    assert all(after[path][0].st_mtime_ns == before[path][0].st_mtime_ns for path in after)
    assert all(after[path][0].st_mode == before[path][0].st_mode for path in after)


def test_an_exception_of_judge_is_the_handlers(box: Sandbox, acts: Path) -> None:
    def judge(name: str) -> NotifAction | None:
        raise LookupError(name)

    handler = Do(lambda ctx: ctx.perform(judge=judge))
    handler.on_exception = {LookupError: REFUSED}
    words = [str(acts), str(number_of("mkdirat")), str(AT_FDCWD), "s:new", "0"]
    result = box.run(words, handlers=[("mkdirat", handler)], timeout=60)
    assert [type(failure.exception) for failure in result.handler_errors] == [LookupError]
