"""What may be read, what may be changed, and that nothing else can be reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandlock import Sandbox
from sandlock._request import StrPath
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three folders, each with a file and a folder with a file."""
    for name in ("readable", "writable", "outside"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "file").write_text("text")
        (tmp_path / name / "sub" / "deep").write_text("text")
    return tmp_path


@pytest.fixture
def confined(tree: Path) -> Sandbox:
    return tool_sandbox([tree / "readable"], [tree / "writable"], cwd=tree)


def can(box: Sandbox, *cmd: StrPath) -> bool:
    return box.run(cmd).success


@pytest.mark.parametrize(
    ("folder", "allowed"), [("readable", True), ("writable", True), ("outside", False)], ids=["r", "w", "o"]
)
def test_reading(confined: Sandbox, folder: str, allowed: bool) -> None:
    assert can(confined, "cat", f"{folder}/file") is allowed
    assert can(confined, "cat", f"{folder}/sub/deep") is allowed
    assert can(confined, "ls", folder) is allowed
    assert can(confined, "ls", f"{folder}/sub") is allowed


CHANGES = {
    "overwrite": 'echo changed >"$1/file"',
    "append": 'echo new >>"$1/file"',
    "create": 'echo new >"$1/new"',
    "create deep": 'echo new >"$1/sub/new"',
    "remove": 'rm "$1/file"',
    "make a folder": 'mkdir "$1/new"',
    "remove a folder": 'rm -r "$1/sub"',
    "rename": 'mv "$1/file" "$1/new"',
    "rename into another folder": 'mv "$1/file" "$1/sub/file"',
    "link": 'ln "$1/file" "$1/new"',
    "link into another folder": 'ln "$1/file" "$1/sub/new"',
    "symbolic link": 'ln -s file "$1/new"',
    "fifo": 'mkfifo "$1/new"',
    "truncate": 'truncate -s 0 "$1/file"',
}


def contents(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_size, path.lstat().st_ino)
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("folder", ["readable", "writable", "outside"])
def test_changing(confined: Sandbox, tree: Path, folder: str, change: str) -> None:
    before = contents(tree)
    result = confined.run(["sh", "-c", CHANGES[change], "sh", folder])
    assert result.success is (folder == "writable"), result.stderr
    assert (contents(tree) != before) is (folder == "writable")


@pytest.mark.parametrize(
    "script",
    [
        "mv writable/file outside/new",
        "mv outside/file writable/new",
        "mv readable/file writable/new",
        "ln outside/file writable/new",
        "ln readable/file writable/new",
        "ln writable/file readable/new",
    ],
)
def test_nothing_moves_across(confined: Sandbox, tree: Path, script: str) -> None:
    before = contents(tree)
    confined.run(["sh", "-c", script])
    after = contents(tree)
    after.pop("writable/new", None)  # mv copies what it may read
    assert after == before
    if "ln" in script or "outside/file" in script:
        assert not (tree / "writable" / "new").exists()


def test_no_device_is_made(confined: Sandbox, tree: Path) -> None:
    assert not can(confined, "mknod", "writable/null", "c", "1", "3")
    assert not (tree / "writable" / "null").exists()


def test_symbolic_links_lead_nowhere_new(confined: Sandbox, tree: Path) -> None:
    (tree / "readable" / "out").symlink_to(tree / "outside" / "file")
    (tree / "outside" / "in").symlink_to(tree / "readable" / "file")
    assert not can(confined, "cat", "readable/out")
    assert can(confined, "cat", "outside/in")
    assert not can(confined, "sh", "-c", "ln -s ../outside/file writable/made; cat writable/made")
    assert not can(confined, "cat", "readable/../outside/file")


def test_a_grant_follows_the_link_that_it_names(tree: Path) -> None:
    (tree / "link").symlink_to("outside")
    box = tool_sandbox([tree / "link"])
    assert can(box, "cat", tree / "link" / "file")
    assert can(box, "cat", tree / "outside" / "file")
    assert not can(box, "cat", tree / "readable" / "file")


def test_single_files(tree: Path) -> None:
    box = tool_sandbox([tree / "readable" / "file"], [tree / "writable" / "file"])
    assert can(box, "cat", tree / "readable" / "file")
    assert not can(box, "cat", tree / "readable" / "sub" / "deep")
    assert not can(box, "ls", tree / "readable")
    assert can(box, "sh", "-c", 'echo new >"$0"', tree / "writable" / "file")
    assert not can(box, "rm", "-f", tree / "writable" / "file")
    assert (tree / "writable" / "file").read_text() == "new\n"


def test_writable_beneath_readable(tree: Path) -> None:
    box = tool_sandbox([tree], [tree / "writable"])
    assert can(box, "cat", tree / "outside" / "file")
    assert can(box, "rm", "-f", tree / "writable" / "file")
    assert not can(box, "rm", "-f", tree / "outside" / "file")


def test_both_lists_name_the_same(tree: Path) -> None:
    box = tool_sandbox([tree / "writable"], [tree / "writable"])
    assert can(box, "rm", "-f", tree / "writable" / "file")


def test_programs_may_be_executed_where_they_may_be_read(tree: Path) -> None:
    for folder in ("readable", "writable", "outside"):
        (tree / folder / "program").write_text("#!/bin/sh\n")
        (tree / folder / "program").chmod(0o755)
    box = tool_sandbox([tree / "readable"], [tree / "writable"])
    assert can(box, tree / "readable" / "program")
    assert can(box, tree / "writable" / "program")
    assert box.run([tree / "outside" / "program"]).exit_code == 127


def test_fields_are_read_at_each_run(tree: Path) -> None:
    box = tool_sandbox()
    assert not can(box, "cat", tree / "outside" / "file")
    box.fs_readable = [*box.fs_readable, tree / "outside"]
    assert can(box, "cat", tree / "outside" / "file")
    box.fs_readable = box.fs_readable[:-1]
    assert not can(box, "cat", tree / "outside" / "file")


def test_what_was_made_is_the_hosts(confined: Sandbox, tree: Path) -> None:
    assert can(confined, "sh", "-c", "umask 027; echo new >writable/new")
    made = tree / "writable" / "new"
    assert (made.read_text(), made.stat().st_uid, made.stat().st_mode & 0o777) == ("new\n", os.geteuid(), 0o640)
