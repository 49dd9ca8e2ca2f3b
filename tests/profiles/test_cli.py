"""sandlock profile list, show and check."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sandlock
from sandlock import load_profile
from sandlock.cli import main
from tests.support.processes import host_environment
from tests.support.profiles import Write


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandlock", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=host_environment(), timeout=60)


def test_show(write: Write, home: Path) -> None:
    base = write("base", '[filesystem]\nread = ["/usr"]\n')
    mine = write("mine", 'extends = "base"\n[program]\nexec = "${HOME}/x"\n[filesystem]\nread = ["/opt"]\n')
    done = call("profile", "show", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"# {base}\n# {mine}\n[program]\nexec = '{home}/x'\n\n[filesystem]\nread = ['/usr', '/opt']\n"


def test_what_is_shown_is_a_profile(write: Write, home: Path) -> None:
    shown = write("shown", call("profile", "show", "pytest").stdout)
    box, again = load_profile("pytest"), load_profile(shown)
    again.name = box.name
    assert again == box


def test_check(write: Write) -> None:
    assert call("profile", "check").returncode == 0
    path = write("wrong", "[limits]\nopen_file = 3\n")
    done = call("profile", "check")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"wrong: {path}:2: [limits] open_file: is no key of this section; did you mean open_files?\n"
    assert call("profile", "check", "python", "node").returncode == 0
    assert call("profile", "check", path, "nobody").stderr.count("\n") == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[filesystem]\nread = ["/nonexistent"]', 'fs_readable: "/nonexistent" does not exist'),
        ('[syscalls]\nextra_deny = ["opnat"]', 'extra_deny_syscalls: unknown syscall "opnat"'),
        ('[program]\ncwd = "/nonexistent"', 'cwd: "/nonexistent" does not exist'),
        ('[protections]\ndisable = ["FS_REFER"]', 'disable: "FS_REFER" cannot be disabled'),
    ],
)
def test_check_of_what_this_host_lacks(
    text: str, message: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("mine", text)
    assert main(["profile", "check", "mine"]) == 1
    assert capsys.readouterr().err.startswith(f"mine: {message}")


def test_list(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    mine, wrong = write("mine", ""), write("wrong", "x = 1")
    assert main(["profile", "list"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["mine"] == str(mine)
    assert lines["python"].endswith("sandlock/profiles/python.toml")
    assert lines["wrong"].startswith(f"wrong: {wrong}:1: x: is no section of a profile")


def test_errors_and_usage(write: Write) -> None:
    done = call("profile", "show", "pyhton")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith('sandlock: profile: "pyhton" is no profile in ')
    assert done.stderr.endswith("did you mean python?\n")
    for arguments in ([], ["profile"], ["profile", "show"], ["nothing"]):
        done = call(*arguments)
        assert (done.returncode, done.stderr.startswith("usage: ")) == (2, True)
    assert call("--version").stdout == f"{sandlock.__version__}\n"
