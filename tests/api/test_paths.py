"""Paths are bytes, may be relative, and may be many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandlock import PolicyError
from sandlock._request import StrPath
from tests.support.sandboxes import SYSTEM_PATHS, tool_sandbox

NOT_UTF8 = b"\xff\xfe \xe4\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a folder with a file."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", ["sub", "./sub", "sub/", "sub//", "sub/.", "sub/../sub", "sub/file", "."])
def test_relative(folder: Path, path: str) -> None:
    assert tool_sandbox([path]).run(["cat", "sub/file"]).stdout == b"text"


def test_relative_to_where_the_host_is_when_the_run_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = tool_sandbox(["sub"])
    monkeypatch.chdir("/")
    with pytest.raises(PolicyError, match='fs_readable: "sub" does not exist'):
        box.run(["true"])
    (folder / "other" / "sub").mkdir(parents=True)
    (folder / "other" / "sub" / "file").write_text("other")
    monkeypatch.chdir(folder / "other")
    assert box.run(["cat", "sub/file"]).stdout == b"other"
    assert not box.run(["cat", folder / "sub" / "file"]).success


def test_relative_to_the_host_not_to_cwd(folder: Path) -> None:
    (folder / "sub" / "sub").mkdir()
    (folder / "sub" / "sub" / "file").write_text("inner")
    box = tool_sandbox(["sub/file"], cwd="sub")
    assert box.run(["cat", "file"]).stdout == b"text"
    assert not box.run(["cat", "sub/file"]).success


def test_relative_command(folder: Path) -> None:
    (folder / "sub" / "program").write_text("#!/bin/sh\necho ran\n")
    (folder / "sub" / "program").chmod(0o755)
    for name in ("sub/program", "./sub/program", f"../{folder.name}/sub/program"):
        assert tool_sandbox(["sub"]).run([name]).stdout == b"ran\n"
    assert tool_sandbox(["sub"]).run(["program"]).exit_code == 127


@pytest.mark.parametrize("kind", ["bytes", "str", "path"])
def test_not_utf8(folder: Path, kind: str) -> None:
    name = os.path.join(os.fsencode(folder), NOT_UTF8)
    os.mkdir(name)
    Path(os.fsdecode(name), "file").write_text("text")
    kinds: dict[str, StrPath] = {"bytes": name, "str": os.fsdecode(name), "path": Path(os.fsdecode(name))}
    given = kinds[kind]
    box = tool_sandbox([given])
    assert box.run(["cat", name + b"/file"]).stdout == b"text"
    assert box.run([b"cat", os.fsdecode(name) + "/file"]).stdout == b"text"
    assert not box.run(["cat", "sub/file"]).success
    assert tool_sandbox(writable=[given]).run(["touch", name + b"/new"]).success


def test_missing_and_not_utf8(folder: Path) -> None:
    with pytest.raises(PolicyError, match=r'fs_readable: ".*\\xff\\xfe \\xe4\\n" does not exist'):
        tool_sandbox([NOT_UTF8]).run(["true"])


@pytest.mark.parametrize("name", ["a b", "a'b", 'a"b', "a\\b", "*", "-r", "ä", "日本", "\n", "\x01", "x" * 255])
def test_strange_names(folder: Path, name: str) -> None:
    (folder / name).write_text("text")
    assert tool_sandbox([folder / name]).run(["cat", "--", name]).stdout == b"text"


def test_long_path(folder: Path) -> None:
    deep = folder.joinpath(*["x" * 200] * 18)
    deep.mkdir(parents=True)
    (deep / "file").write_text("text")
    assert tool_sandbox([deep]).run(["cat", deep / "file"]).stdout == b"text"


def test_many(folder: Path) -> None:
    many = folder / "many"
    many.mkdir()
    for number in range(10_001):
        (many / str(number)).write_text(str(number))
    box = tool_sandbox([many / str(number) for number in range(10_000)])
    assert box.run(["cat", many / "0", many / "5000", many / "9999"]).stdout == b"050009999"
    assert not box.run(["cat", many / "10000"]).success


def test_the_same_path_often(folder: Path) -> None:
    box = tool_sandbox(["sub", "./sub", folder / "sub", b"sub"] * 100)
    assert box.run(["cat", "sub/file"]).stdout == b"text"


def test_any_iterable_will_do(folder: Path) -> None:
    box = tool_sandbox()
    box.fs_readable = (*SYSTEM_PATHS, "sub")
    assert box.run(["cat", "sub/file"]).stdout == b"text"


def test_replaced_folder(folder: Path) -> None:
    box = tool_sandbox(["sub"])
    assert box.run(["cat", "sub/file"]).stdout == b"text"
    (folder / "sub").rename(folder / "old")
    (folder / "sub").mkdir()
    (folder / "sub" / "file").write_text("new")
    assert box.run(["cat", "sub/file"]).stdout == b"new"
    assert not box.run(["cat", "old/file"]).success
