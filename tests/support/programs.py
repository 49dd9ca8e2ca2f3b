"""The C programs of the tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Callable

SOURCES = Path(__file__).resolve().parents[1] / "programs"

Program = Callable[[str], Path]
"""Gives the path of a program by the name of its source."""


def compiler() -> str | None:
    return shutil.which("gcc")


def compile_program(name: str, target: Path) -> None:
    options = ["-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
    subprocess.run([str(compiler()), *options, "-o", target, SOURCES / f"{name}.c"], check=True, timeout=60)
