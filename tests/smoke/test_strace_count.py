"""A handler sees each openat(2) of a real program once: as many as strace reports of the same command outside.

The launcher makes no openat(2) itself that either would see, so that the two counts are equal, not nearly equal.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from email import __file__ as email_file
from pathlib import Path
from typing import NamedTuple

import pytest

from sandlock import Sandbox
from tests.support.handlers import Answer

LIMIT = 100
"""Seconds that a command may take."""


class Command(NamedTuple):
    """A command, and the folder that it finds as it was before each of its runs."""

    argv: list[str]
    folder: Path


def compileall(folder: Path) -> Command:
    shutil.copytree(Path(email_file).parent, folder / "email", ignore=shutil.ignore_patterns("__pycache__"))
    return Command([sys.executable, "-m", "compileall", str(folder / "email")], folder)


def find(folder: Path) -> Command:
    return Command(["find", "/usr/share", "-type", "f"], folder)


def pipeline(folder: Path) -> Command:
    (folder / "words").write_text("".join(f"{number % 97}\n" for number in range(10_000)))
    script = "cat words | tr 0-9 a-j | sort | uniq -c | head -n 50"
    return Command(["sh", "-c", script], folder)


PROGRAMS = {"compileall": compileall, "find": find, "pipeline": pipeline}


class Outcome(NamedTuple):
    """What must be the same inside and outside."""

    exit_code: int
    stdout: bytes
    stderr: bytes


def fresh(name: str, folder: Path) -> Command:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return PROGRAMS[name](folder)


def environment() -> dict[str, str]:
    """Return an environment in which the interpreter opens the same files each time."""
    dropped = {"PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONSTARTUP"}
    return {**{name: value for name, value in os.environ.items() if name not in dropped}, "PYTHONHASHSEED": "0"}


def outside(command: Command, *tracer: str) -> Outcome:
    done = subprocess.run(
        [*tracer, *command.argv],
        cwd=command.folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=LIMIT,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def traced_calls(log: Path) -> int:
    """Count the calls in a log of strace -f. One that another's line cuts in two goes on as "openat resumed"."""
    return len(re.findall(rb"^\d+ +openat\(", log.read_bytes(), re.MULTILINE))


@pytest.mark.parametrize("name", PROGRAMS)
def test_count(name: str, strace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, log = tmp_path / "work", tmp_path / "log"
    # The first run leaves behind what interpreters and libraries cache.
    expected = outside(fresh(name, folder))
    assert expected.exit_code in (0, 1)  # 1 of find: folders that this user may not list
    traced = outside(
        fresh(name, folder), strace, "-f", "-qq", "-e", "trace=openat", "-e", "signal=none", "-o", str(log)
    )
    assert traced == expected

    command, audit = fresh(name, folder), Answer()
    for variable in os.environ.keys() - environment().keys():
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    # All may be read, so that no library looks elsewhere for what it does not find.
    box = Sandbox(fs_readable=["/"], fs_writable=[folder, "/dev/null"], cwd=folder)
    result = box.run(command.argv, input=b"", timeout=LIMIT, handlers=[("openat", audit)])
    assert result.handler_errors == []
    assert Outcome(result.exit_code, result.stdout, result.stderr) == expected
    print(f"{name}: {audit.calls} calls of openat, {traced_calls(log)} by strace")
    assert audit.calls == traced_calls(log) > 0


def test_log_with_calls_in_two_parts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        '10 openat(AT_FDCWD, "a", O_RDONLY <unfinished ...>\n'
        '7  openat(AT_FDCWD, "b openat(", O_RDONLY) = 3\n'
        "10 <... openat resumed>) = 3\n"
    )
    assert traced_calls(log) == 2
