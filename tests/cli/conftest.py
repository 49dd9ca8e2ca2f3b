"""The command line as a user calls it, with a home of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from tests.support.processes import host_environment
from tests.support.sandboxes import SYSTEM_PATHS

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home without profiles and running sandboxes."""
    (tmp_path / "home").mkdir()
    environment = {**host_environment(), "HOME": str(tmp_path / "home")}
    return {name: value for name, value in environment.items() if not name.startswith("XDG_")}


@pytest.fixture
def sandlock_command(environment: dict[str, str], tmp_path: Path) -> Call:
    """Run ``sandlock`` with arguments, in a work folder."""
    (tmp_path / "work").mkdir()

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sandlock", *map(str, arguments)]
        settings = {"cwd": tmp_path / "work", "env": environment, "timeout": 60, "stdin": subprocess.DEVNULL, **options}
        return subprocess.run(command, check=False, capture_output=True, text=True, **settings)

    return run


@pytest.fixture
def system() -> list[str]:
    """The flags with which the programs of this system work."""
    return [word for path in SYSTEM_PATHS for word in ("-r", str(path))]
