"""fs_denied wins over what contains it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandlock import Sandbox
from sandlock._request import StrPath
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """granted/{open,secret}/file, granted/file and granted/key."""
    for name in ("open", "secret"):
        (tmp_path / "granted" / name / "sub").mkdir(parents=True)
        (tmp_path / "granted" / name / "file").write_text("text")
        (tmp_path / "granted" / name / "sub" / "deep").write_text("text")
    for name in ("file", "key"):
        (tmp_path / "granted" / name).write_text("text")
    return tmp_path / "granted"


def can(box: Sandbox, *cmd: StrPath) -> bool:
    return box.run(cmd).success


@pytest.mark.parametrize("field", ["readable", "writable"])
def test_folder(tree: Path, field: str) -> None:
    box = tool_sandbox(**{field: [tree]}, fs_denied=[tree / "secret"])
    assert not can(box, "cat", tree / "secret" / "file")
    assert not can(box, "cat", tree / "secret" / "sub" / "deep")
    assert not can(box, "ls", tree / "secret")
    assert not can(box, "rm", "-rf", tree / "secret")
    assert (tree / "secret" / "sub" / "deep").exists()
    assert can(box, "cat", tree / "open" / "file")
    assert can(box, "cat", tree / "file")
    assert can(box, "ls", tree / "open")


@pytest.mark.parametrize("field", ["readable", "writable"])
def test_file(tree: Path, field: str) -> None:
    box = tool_sandbox(**{field: [tree]}, fs_denied=[tree / "key"])
    assert not can(box, "cat", tree / "key")
    assert not can(box, "sh", "-c", 'echo new >"$0"', tree / "key")
    assert (tree / "key").read_text() == "text"
    assert can(box, "cat", tree / "file")
    assert can(box, "cat", tree / "secret" / "sub" / "deep")
    assert can(box, "sh", "-c", 'echo new >"$0"', tree / "file") is (field == "writable")


def test_renaming_opens_nothing(tree: Path) -> None:
    box = tool_sandbox(writable=[tree], fs_denied=[tree / "secret"], cwd=tree)
    assert not can(box, "mv", "secret", "open/moved")
    assert not can(box, "ln", "secret/file", "open/linked")
    assert can(box, "sh", "-c", "ln -s ../secret/file open/link")
    assert not can(box, "cat", "open/link")
    assert (tree / "secret").is_dir()


def test_denied_through_a_link(tree: Path) -> None:
    link = tree.parent / "link"
    link.symlink_to(tree / "secret")
    box = tool_sandbox([tree], fs_denied=[link])
    assert not can(box, "cat", tree / "secret" / "file")
    assert can(box, "cat", tree / "open" / "file")


def test_denied_what_is_granted(tree: Path) -> None:
    box = tool_sandbox([tree], fs_denied=[tree])
    assert not can(box, "cat", tree / "file")
    assert not can(box, "ls", tree)


def test_denied_around_what_is_granted(tree: Path) -> None:
    box = tool_sandbox([tree / "secret" / "sub"], fs_denied=[tree / "secret"])
    assert not can(box, "cat", tree / "secret" / "sub" / "deep")


def test_denied_outside_of_what_is_granted(tree: Path) -> None:
    box = tool_sandbox([tree / "open"], fs_denied=[tree / "secret"])
    assert can(box, "cat", tree / "open" / "file")
    assert not can(box, "cat", tree / "secret" / "file")


def test_several(tree: Path) -> None:
    box = tool_sandbox([tree], fs_denied=[tree / "secret" / "file", tree / "key", tree / "open" / "sub"])
    assert not can(box, "cat", tree / "secret" / "file")
    assert not can(box, "cat", tree / "key")
    assert not can(box, "cat", tree / "open" / "sub" / "deep")
    assert can(box, "cat", tree / "secret" / "sub" / "deep")
    assert can(box, "cat", tree / "open" / "file")


def test_relative_and_not_utf8(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode(b"\xff\xfe")
    (tree / name).write_text("text")
    monkeypatch.chdir(tree)
    box = tool_sandbox(["."], fs_denied=["secret", os.fsencode(name)])
    assert not can(box, "cat", name)
    assert not can(box, "cat", "secret/file")
    assert can(box, "cat", "open/file")


def test_a_program_that_is_denied(box: Sandbox) -> None:
    box.fs_denied = [os.path.realpath("/usr/bin/env")]
    result = box.run(["/usr/bin/env"])
    assert (result.exit_code, result.stdout) == (127, b"")
    assert can(box, "true")
