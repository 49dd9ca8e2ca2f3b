"""The CPython interpreters of this machine."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

VERSIONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
"""The versions that the package supports."""


def find_python(version: str) -> str:
    """Return the interpreter of a version. Where none is found, the test is skipped."""
    python = interpreter(version)
    if python is None:
        pytest.skip(f"uid {os.geteuid()} finds no CPython {version} in pyenv or on PATH")
    return python


@functools.cache
def interpreter(version: str) -> str | None:
    """Return the interpreter of a version, or None where the current user finds none."""
    return next(filter(_runs, _candidates(version)), None)


def _candidates(version: str) -> Iterator[str]:
    """Yield what may be a CPython of that version: pyenv's first, its shims may lead nowhere."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, pyenv.glob(f"versions/{version}.*/bin/python"))
    if on_path := shutil.which(f"python{version}"):
        yield on_path


def _runs(python: str) -> bool:
    try:
        return subprocess.run([python, "-I", "-c", ""], check=False, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False
