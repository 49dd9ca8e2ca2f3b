"""Wrong values on the command line are errors that say so, with the status of the page: no tracebacks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Call

WRONG = {
    ("run", "--timeout=-1", "--", "true"): "sandlock: --timeout must be a finite number of seconds from 0, not -1.0\n",
    (
        "audit",
        "--timeout=nan",
        "--",
        "true",
    ): "sandlock: --timeout must be a finite number of seconds from 0, not nan\n",
    (
        "learn",
        "--timeout=-1",
        "--",
        "true",
    ): "sandlock: --timeout must be a finite number of seconds from 0, not -1.0\n",
    ("run", "--name=", "--", "true"): "sandlock: name '' must not be empty, ",
    ("run", "--name=a/b", "--", "true"): "sandlock: name 'a/b' must not be empty, ",
    ("audit", "-r", "/", "--name=..", "--", "true"): "sandlock: name '..' must not be empty, ",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_values(sandlock_command: Call, arguments: tuple[str, ...]) -> None:
    done = sandlock_command(*arguments)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(WRONG[arguments])
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "audit", "learn"])
def test_no_command_is_wrong_usage(sandlock_command: Call, command: str) -> None:
    done = sandlock_command(command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"sandlock {command}: error: no command; write it last, after --\n")


@pytest.mark.parametrize("output", ["none/such/p.toml", "folder"])
def test_learn_looks_first_whether_it_can_write(sandlock_command: Call, tmp_path: Path, output: str) -> None:
    (tmp_path / "work" / "folder").mkdir()
    done = sandlock_command("learn", "-o", output, "--", "touch", "ran")
    assert done.returncode == 125
    assert done.stderr.startswith(f"sandlock: -o: {output} cannot be written: ")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path / "work") == ["folder"]


def test_learn_that_learns_nothing_leaves_the_output_as_it_was(sandlock_command: Call, tmp_path: Path) -> None:
    old = tmp_path / "work" / "old.toml"
    old.write_text("# kept\n")
    for output in ("new.toml", "old.toml"):
        assert sandlock_command("learn", "-o", output, "--", "none-such-program").returncode == 127
    assert (os.listdir(old.parent), old.read_text()) == (["old.toml"], "# kept\n")
