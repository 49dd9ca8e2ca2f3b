"""A command that cannot be executed has exit code 127 and says why."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from sandlock import ChildError, ExitReason, Sandbox
from tests.support.sandboxes import tool_sandbox


class Case(NamedTuple):
    command: list[str]
    words: tuple[str, ...]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with files that are no programs."""
    for name, text, mode in (
        ("plain", "#!/bin/sh\n", 0o644),
        ("garbage", "garbage", 0o755),
        ("orphan", "#!/nonexistent/interpreter\n", 0o755),
        ("script", "#!/bin/sh\necho ran\n", 0o755),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


CASES = {
    "no such program": Case(["nosuchprogram"], ('"nosuchprogram"', "not found on PATH")),
    "no such file": Case(["{}/missing"], ("execute {}/missing", "no such file")),
    "not executable": Case(["{}/plain"], ("execute {}/plain", "permission denied", "no execute permission")),
    "a folder": Case(["{}/folder"], ("execute {}/folder", "permission denied")),
    "no program": Case(["{}/garbage"], ("execute {}/garbage", "exec format error", "no #! line")),
    "no interpreter": Case(["{}/orphan"], ("execute {}/orphan", "no such file", "interpreter")),
    "beneath a file": Case(["{}/plain/x"], ("execute {}/plain/x", "not a directory")),
    "a loop of links": Case(["{}/loop"], ("execute {}/loop", "too many levels of symbolic links")),
    "a long name": Case(["{}/" + "x" * 256], ("execute {}/xxx", "file name too long")),
    "a long argument": Case(["true", "x" * (128 << 10)], ("execute /", "argument list too long", "ARG_MAX")),
    "many arguments": Case(["true", *["x" * 1000] * 10000], ("execute /", "argument list too long", "ARG_MAX")),
}


@pytest.mark.parametrize("name", CASES)
def test_not_executable(name: str, files: Path) -> None:
    case = CASES[name]
    command = [word.replace("{}", str(files)) for word in case.command]
    box = tool_sandbox([files])
    result = box.run(command)
    assert (result.success, result.exit_code, result.reason, result.signal) == (False, 127, ExitReason.EXITED, -1)
    assert result.error is not None
    for words in case.words:
        assert words.replace("{}", str(files)) in result.error
    assert result.stderr.decode() == f"sandlock: {result.error}\n"
    assert result.stdout == b""
    with pytest.raises(ChildError, match="was not executed") as caught:
        box.run(command, check=True)
    assert caught.value.result == result
    assert caught.value.cmd == command


def test_not_granted(files: Path) -> None:
    result = tool_sandbox().run([str(files / "script")])
    assert result.exit_code == 127
    assert "fs_readable" in str(result.error)
    assert tool_sandbox([files / "script"]).run([str(files / "script")]).stdout == b"ran\n"


def test_an_empty_policy_executes_nothing() -> None:
    result = Sandbox().run(["/bin/true"])
    assert result.exit_code == 127
    assert "fs_readable" in str(result.error)


def test_name_that_is_no_utf8(box: Sandbox) -> None:
    result = box.run([b"/nonexistent/\xff\xfe"])
    assert result.exit_code == 127
    assert "/nonexistent/" in str(result.error)
    assert b"/nonexistent/\xff\xfe" in result.stderr
    assert box.run([b"\xff\xfe"]).exit_code == 127


def test_the_first_that_may_be_executed_is_taken(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, mode in (("first", 0o644), ("second", 0o755)):
        (files / folder).mkdir()
        (files / folder / "program").write_text(f"#!/bin/sh\necho {folder}\n")
        (files / folder / "program").chmod(mode)
    (files / "folder" / "program").mkdir()
    monkeypatch.setenv("PATH", f"{files}/folder:/nonexistent:{files}/first:{files}/second")
    assert tool_sandbox([files]).run(["program"]).stdout == b"second\n"
    monkeypatch.setenv("PATH", f"{files}/first")
    assert "no execute permission" in str(tool_sandbox([files]).run(["program"]).error)


def test_the_sandbox_can_run_again(box: Sandbox) -> None:
    assert box.run(["/nonexistent"]).exit_code == 127
    assert box.run(["nosuchprogram"]).exit_code == 127
    assert box.run(["true"]).success
