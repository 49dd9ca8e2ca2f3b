"""RedirectHandler performs calls on other paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandlock import Sandbox
from sandlock.presets import RedirectHandler
from tests.support.acts import AT_FDCWD, Act, Back, Buffer, Call, act
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    for name in ("real", "fake"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(name)
    os.symlink("real/file", folder / "link")
    os.symlink("real", folder / "tofolder")
    (tmp_path / "outside").write_text("outside")
    return folder


@pytest.fixture
def box(acts: Path, folder: Path) -> Sandbox:
    return tool_sandbox([acts], [folder], cwd=folder)


def redirected(box: Sandbox, acts: Path, redirects: dict[str, str], *calls: Call) -> list[Act]:
    handler = RedirectHandler(redirects)
    return act(box, acts, calls, handlers=[(name, handler) for name in {str(call[0]) for call in calls} - {"read"}])


def contents(box: Sandbox, acts: Path, redirects: dict[str, str], *paths: str) -> list[str]:
    """Return what is read from files, or the error."""
    calls: list[Call] = []
    for path in paths:
        calls += [("openat2", AT_FDCWD, path, bytes(24), 24), ("read", Back(1), Buffer(16), 16)]
    done = redirected(box, acts, redirects, *calls)
    return [opened.error or read.data.rstrip(b"\0").decode() for opened, read in zip(done[::2], done[1::2])]


def test_a_file(box: Sandbox, acts: Path, folder: Path) -> None:
    redirects = {f"{folder}/real/file": f"{folder}/fake/file"}
    paths = ["real/file", "./real//file", f"{folder}/real/file", "link", "tofolder/file", "fake/file", "missing"]
    assert contents(box, acts, redirects, *paths) == [*["fake"] * 6, "ENOENT"]


def test_a_folder(box: Sandbox, acts: Path, folder: Path) -> None:
    redirects = {f"{folder}/real/": f"{folder}/fake"}
    (folder / "real" / "only").touch()
    assert contents(box, acts, redirects, "real/file", "tofolder/file", "real/only") == ["fake", "fake", "ENOENT"]


def test_a_key_through_a_link(box: Sandbox, acts: Path, folder: Path) -> None:
    assert contents(box, acts, {f"{folder}/tofolder/file": f"{folder}/fake/file"}, "real/file") == ["fake"]


def test_a_folder_within_itself(box: Sandbox, acts: Path, folder: Path) -> None:
    """What was redirected once is not redirected again."""
    (folder / "real" / "inner").mkdir()
    (folder / "real" / "inner" / "file").write_text("inner")
    redirects = {f"{folder}/real/": f"{folder}/real/inner/"}
    assert contents(box, acts, redirects, "real/file") == ["inner"]


def test_two_that_are_exchanged(box: Sandbox, acts: Path, folder: Path) -> None:
    redirects = {f"{folder}/real/file": f"{folder}/fake/file", f"{folder}/fake/file": f"{folder}/real/file"}
    assert contents(box, acts, redirects, "real/file", "fake/file") == ["fake", "real"]


def test_the_policy_holds(box: Sandbox, acts: Path, folder: Path, tmp_path: Path) -> None:
    assert contents(box, acts, {f"{folder}/real/file": f"{tmp_path}/outside"}, "real/file") == ["EACCES"]
    assert contents(box, acts, {f"{folder}/real/file": "/nonexistent"}, "real/file") == ["ENOENT"]


def test_calls_that_follow_no_link(box: Sandbox, acts: Path, folder: Path) -> None:
    """They are about the link, not about what it leads to."""
    redirects = {f"{folder}/real/file": f"{folder}/fake/file"}
    calls: list[Call] = [("readlinkat", AT_FDCWD, "link", Buffer(16), 16), ("unlinkat", AT_FDCWD, "link", 0)]
    done = redirected(box, acts, redirects, *calls)
    assert done[0].data.rstrip(b"\0") == b"real/file"
    assert not (folder / "link").is_symlink()
    assert (folder / "fake" / "file").exists()


def test_calls_that_make_and_remove(box: Sandbox, acts: Path, folder: Path) -> None:
    redirects = {f"{folder}/real/": f"{folder}/fake"}
    calls: list[Call] = [
        ("mkdirat", AT_FDCWD, "real/made", 0o700),
        ("symlinkat", f"{folder}/real/x", AT_FDCWD, "real/symlink"),
        ("unlinkat", AT_FDCWD, "tofolder/file", 0),
    ]
    assert {done.error for done in redirected(box, acts, redirects, *calls)} == {""}
    assert os.listdir(folder / "real") == ["file"]
    assert sorted(os.listdir(folder / "fake")) == ["made", "symlink"]
    assert os.readlink(folder / "fake" / "symlink") == f"{folder}/real/x"


def test_both_paths_of_a_call(box: Sandbox, acts: Path, folder: Path) -> None:
    redirects = {f"{folder}/real/": f"{folder}/fake", f"{folder}/new": f"{folder}/fake/newer"}
    calls: list[Call] = [
        ("linkat", AT_FDCWD, "real/file", AT_FDCWD, "real/linked", 0),
        ("renameat2", AT_FDCWD, "fake/linked", AT_FDCWD, "fake/moved", 0),
    ]
    assert {done.error for done in redirected(box, acts, redirects, *calls)} == {""}
    assert sorted(os.listdir(folder / "fake")) == ["file", "moved"]
    calls = [("renameat2", AT_FDCWD, "real/moved", AT_FDCWD, "fake/../fake/again", 0)]
    assert redirected(box, acts, redirects, *calls)[0].error == ""
    assert sorted(os.listdir(folder / "fake")) == ["again", "file"]


def test_paths_that_cannot_be_read(box: Sandbox, acts: Path) -> None:
    calls: list[Call] = [("mkdirat", AT_FDCWD, path, 0o700) for path in (1, 0, "", "x/" * 3000)]
    errors = [done.error for done in redirected(box, acts, {}, *calls)]
    assert errors == ["EFAULT", "EFAULT", "ENOENT", "ENAMETOOLONG"]


def test_calls_that_cannot_be_redirected(box: Sandbox, acts: Path) -> None:
    """They are not let through to the path that was asked for."""
    result = box.run(["sh", "-c", "cd real; pwd"], handlers=[("chdir", RedirectHandler({"/a": "/b"}))], timeout=60)
    assert result.stdout == b""
    assert result.handler_errors
