"""The folder in which sandlock run tells of itself is the user's alone, whoever could have made it before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from tests.cli.conftest import Call

OTHER = 65534


def _link(folder: Path) -> None:
    (folder.parent / "target").mkdir(mode=0o700)
    folder.symlink_to("target")


def _open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def _readable(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o750)


def _of_another(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to another user")
    folder.mkdir(mode=0o700)
    os.chown(folder, OTHER, OTHER)


@pytest.mark.parametrize(
    "made", [_link, _open_to_all, _readable, _of_another, Path.touch], ids=lambda made: made.__name__
)
@pytest.mark.parametrize("arguments", [["ps"], ["kill", "box"], ["run", "-r", "/usr", "--", "true"]], ids=" ".join)
def test_what_others_can_reach_is_refused(
    sandlock_command: Call,
    environment: dict[str, str],
    tmp_path: Path,
    made: Callable[[Path], None],
    arguments: list[str],
) -> None:
    folder = tmp_path / "sandlock"
    made(folder)
    before = folder.lstat().st_mode
    done = sandlock_command(*arguments, env={**environment, "XDG_RUNTIME_DIR": str(tmp_path)})
    assert done.returncode == (125 if arguments[0] == "run" else 1)
    assert done.stderr == (
        f"sandlock: {folder}: is no folder that only you can reach; remove it, chmod it to 700, "
        "or set XDG_RUNTIME_DIR to a folder of yours\n"
    )
    assert folder.lstat().st_mode == before
    if folder.is_dir():
        assert list(folder.iterdir()) == []


def test_no_folder_can_be_made(sandlock_command: Call, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = sandlock_command("ps", env={**environment, "XDG_RUNTIME_DIR": str(tmp_path / "file")})
    assert done.stderr == (
        f"sandlock: {tmp_path}/file/sandlock: cannot be made: Not a directory; "
        "set XDG_RUNTIME_DIR to a folder of yours\n"
    )


def _home_of_nobody(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").touch()
    return {**environment, "HOME": str(tmp_path / "file" / "home")}  # root cannot make it either


def test_a_run_where_there_can_be_no_record(
    sandlock_command: Call, environment: dict[str, str], system: list[str], tmp_path: Path
) -> None:
    """It is not listed, which it says; that it runs does not depend on it."""
    homeless = _home_of_nobody(environment, tmp_path)
    done = sandlock_command("run", *system, "--", "echo", "ran", env=homeless)
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr == (
        f"sandlock: not listed by sandlock ps: {tmp_path}/file/home/.local/state/sandlock: cannot be made: "
        "Not a directory; set XDG_RUNTIME_DIR to a folder of yours\n"
    )


def test_a_run_that_is_to_be_found_by_its_name(
    sandlock_command: Call, environment: dict[str, str], system: list[str], tmp_path: Path
) -> None:
    homeless = _home_of_nobody(environment, tmp_path)
    done = sandlock_command("run", "--name=box", *system, "--", "echo", "ran", env=homeless)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(f"sandlock: {tmp_path}/file/home/.local/state/sandlock: cannot be made: ")
    runtime = {**homeless, "XDG_RUNTIME_DIR": str(tmp_path)}
    assert sandlock_command("run", "--name=box", *system, "--", "echo", "ran", env=runtime).stdout == "ran\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_run_where_the_record_cannot_be_written(
    sandlock_command: Call, environment: dict[str, str], system: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "sandlock"
    folder.mkdir(mode=0o500)
    environment = {**environment, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = sandlock_command("run", *system, "--", "echo", "ran", env=environment)
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr.startswith(f"sandlock: not listed by sandlock ps: {folder}: cannot be written to: ")


def test_nothing_is_open_to_others_under_any_umask(
    sandlock_command: Call, environment: dict[str, str], system: list[str], tmp_path: Path
) -> None:
    """While it runs, too."""
    command = [sys.executable, "-m", "sandlock", "run", *system, "--", "sh", "-c", "echo ready; read line"]
    command = ["sh", "-c", 'umask 0; exec "$@"', "sh", *command]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        state = tmp_path / "home" / ".local"
        assert len(list(state.rglob("*.json"))) == 1
        for place in (state, state / "state", state / "state" / "sandlock"):
            assert place.stat().st_mode & 0o777 == 0o700
        process.communicate(timeout=60)


def test_names_and_commands_cannot_write_to_the_terminal(
    sandlock_command: Call, environment: dict[str, str], system: list[str]
) -> None:
    script = "echo ready; read line"
    command = [
        sys.executable,
        "-m",
        "sandlock",
        "run",
        "--name=a\033[2Jb",
        *system,
        "--",
        "sh",
        "-c",
        script,
        "\r\033]0;x",
    ]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for arguments in (["ps"], ["inspect", "a\033[2Jb"]):
            shown = sandlock_command(*arguments).stdout
            assert "\\x1b[2J" in shown
            assert "\\r\\x1b]0;x" in shown
            assert shown.replace("\n", "").isprintable()
        process.communicate(timeout=60)
