"""sandlock audit and sandlock learn."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Call


def test_summary(sandlock_command: Call, tmp_path: Path) -> None:
    done = sandlock_command("audit", "--", "sh", "-c", "echo abc > made; cat made; exit 3")
    assert (done.returncode, done.stdout) == (3, "abc\n")
    sections = [line.partition(" (")[0] for line in done.stderr.splitlines() if line and line[0] != " "]
    assert sections[1:] == ["changed", "opened", "executed", "system calls"]
    assert f"{tmp_path}/work/made" in done.stderr


def test_json(sandlock_command: Call, tmp_path: Path) -> None:
    done = sandlock_command("audit", "--json", "--", "sh", "-c", "echo abc > made")
    calls = [json.loads(line) for line in done.stdout.splitlines()]
    made = [call for call in calls if call["paths"] == [f"{tmp_path}/work/made"]]
    assert [(call["syscall"], call["writes"]) for call in made] == [("openat", True)]
    assert all(not call["writes"] for call in calls if call not in made)


def test_with_a_policy(sandlock_command: Call, system: list[str]) -> None:
    done = sandlock_command("audit", *system, "--", "sh", "-c", "echo abc > made")
    assert done.returncode != 0
    assert "made" in done.stderr


def test_what_was_learned_lets_it_pass(sandlock_command: Call, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "input").write_text("abc")
    (work / "secret").write_text("abc")
    (work / "out").mkdir()
    command = ["sh", "-c", "cat input > out/copy; mkdir out/folder; ls /usr/lib > /dev/null"]
    assert sandlock_command("learn", "-o", "tool.toml", "--", *command).returncode == 0
    for path in ("out/copy", "out/folder"):
        (work / path).unlink() if path == "out/copy" else (work / path).rmdir()

    done = sandlock_command("run", "--profile-file=tool.toml")
    assert (done.returncode, done.stderr) == (0, "")
    assert (work / "out" / "copy").read_text() == "abc"
    assert sandlock_command("run", "--profile-file=tool.toml", "--", "cat", "secret").returncode != 0
    assert sandlock_command("run", "--profile-file=tool.toml", "--", "sh", "-c", "echo > other").returncode != 0


def test_paths_cannot_write_to_the_terminal(sandlock_command: Call) -> None:
    names = ["\033]0;title\007", "a\n     1  forged", "\u202ebidi", "\udcff"]
    done = sandlock_command("audit", "--", "sh", "-c", 'for name; do : > "$name"; done', "sh", *names)
    assert done.stderr.replace("\n", "").isprintable()
    for written_out in ("\\x1b]0;title\\x07", "a\\n     1  forged", "\\u202ebidi", "\\udcff"):
        assert f"/{written_out}\n" in done.stderr


def test_learns_from_what_is_no_program(sandlock_command: Call, tmp_path: Path) -> None:
    script = "mkfifo pipe; echo '#!' > empty; chmod +x pipe empty; ./pipe; ./empty; true"
    done = sandlock_command("learn", "--", "sh", "-c", script)
    assert done.returncode == 0
    assert f"{tmp_path}/work" in done.stdout
