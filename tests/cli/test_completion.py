"""Shells complete the words of sandlock. What they have completed is executed: its effect shows it."""

from __future__ import annotations

import builtins
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.support.terminals import Screen

pytest.importorskip("argcomplete", reason="argcomplete, of the extra sandlock[cli], is not installed")

_SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(sandlock completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -D -u; eval "$(sandlock completion zsh)"'),
    "fish": (["fish", "--no-config", "--interactive"], "sandlock completion fish | source"),
}
_START = "import os, sys; os.environ.update(eval(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])"


@pytest.fixture(params=_SHELLS)
def shell(
    request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Screen]:
    """A shell in a work folder."""
    command, activate = _SHELLS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on PATH")
    scripts = Path(sys.executable).parent
    if not (scripts / "sandlock").exists():
        pytest.skip(f"there is no sandlock in {scripts}: the package is not installed")
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    (work / "mine.toml").write_text('extends = "tools"\n[program]\nexec = "echo"\nargs = ["from", "mine"]\n')
    path = f"{scripts}{os.pathsep}{environment['PATH']}"
    changed = {**environment, "PATH": path, "TERM": "xterm"}
    with Screen(_START, builtins.repr(changed), *command, cwd=work) as screen:
        screen.type(f"{activate}; echo re''ady\n")
        screen.expect("ready")
        yield screen


def test_commands_and_profiles(shell: Screen) -> None:
    shell.type("sandlock prof\tsho\tpyte\t\n")
    shell.expect("pytest.toml\r\n")
    shell.type("sandlock run --profile too\t-- echo with to''ols\n")
    shell.expect("with tools")


def test_files(shell: Screen) -> None:
    shell.type("sandlock run --profile-file mi\t\n")
    shell.expect("from mine")


def test_sandboxes(shell: Screen, sandlock_command: Call, system: list[str], environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "sandlock", "run", "--name=warehouse", *system, "--", "sh", "-c"]
    script = "echo ready; exec sleep 1000"
    with subprocess.Popen([*command, script], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        shell.type("sandlock inspect ware\t\n")
        shell.expect("sleep 1000")
        shell.type("sandlock kill ware\t\n")
        assert process.wait(60) == -15
