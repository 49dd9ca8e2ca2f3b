"""sandlock ps, inspect and kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Call


@pytest.fixture
def running(
    sandlock_command: Call, system: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A sandbox with the name box."""
    script = "echo ready; exec sleep 1000"
    command = [sys.executable, "-m", "sandlock", "run", "--name=box", *system, "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_is_shown(sandlock_command: Call, running: subprocess.Popen[bytes]) -> None:
    (line,) = sandlock_command("ps").stdout.splitlines()
    assert line.split(None, 2) == ["box", str(running.pid), "sh -c 'echo ready; exec sleep 1000'"]
    assert "[filesystem]" in sandlock_command("inspect", "box").stdout
    assert sandlock_command("inspect", "box", "--toml").stdout.startswith("[filesystem]")


def test_is_killed(sandlock_command: Call, running: subprocess.Popen[bytes]) -> None:
    assert sandlock_command("kill", "box").returncode == 0
    assert running.wait(60) == -signal.SIGTERM
    assert sandlock_command("ps").stdout == ""


def test_a_name_is_taken_once(sandlock_command: Call, running: subprocess.Popen[bytes], system: list[str]) -> None:
    done = sandlock_command("run", "--name=box", *system, "--", "true")
    assert (done.returncode, done.stderr) == (
        125,
        "sandlock: name: a sandbox 'box' runs already; choose another --name\n",
    )


def test_what_was_killed_is_forgotten(sandlock_command: Call, running: subprocess.Popen[bytes], tmp_path: Path) -> None:
    running.kill()
    running.wait(60)
    records = tmp_path / "home" / ".local" / "state" / "sandlock"
    assert len(list(records.iterdir())) == 1
    assert sandlock_command("ps").stdout == ""
    assert list(records.iterdir()) == []
    assert records.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("verb", ["inspect", "kill"])
def test_nothing_of_that_name(sandlock_command: Call, verb: str) -> None:
    done = sandlock_command(verb, "other")
    assert (done.returncode, done.stderr) == (1, "sandlock: no sandbox 'other' runs; sandlock ps lists them\n")


def test_check(sandlock_command: Call) -> None:
    done = sandlock_command("check")
    assert done.returncode in (0, 1)
    assert "FS_REFER" in done.stdout
