"""The C programs that figures measure."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["BUILD", "compiled"]

_SOURCES = Path(__file__).resolve().parent
BUILD = _SOURCES.parents[1] / "build" / "bench"


def compiled(name: str) -> str:
    """Compile ``name.c`` of this folder and return the program's path."""
    BUILD.mkdir(parents=True, exist_ok=True)
    program = BUILD / name
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, _SOURCES / f"{name}.c"], check=True)
    return str(program)
