"""The extension in the wheel imports and answers in every CPython from 3.9 on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

USE_EXTENSION = """
import sys
sys.path.insert(0, sys.argv[1])
from sandlock import _core
assert _core.NumHandles() == 0
print("%d.%d" % sys.version_info[:2])
"""


def candidates(version: str) -> Iterator[str]:
    """Yield what may be a CPython of that version: pyenv's first, its shims may lead nowhere."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, pyenv.glob(f"versions/{version}.*/bin/python"))
    if on_path := shutil.which(f"python{version}"):
        yield on_path


def runs(python: str) -> bool:
    try:
        return subprocess.run([python, "-I", "-c", ""], check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13"])
def test_imports(version: str, unpacked: Path) -> None:
    python = next(filter(runs, candidates(version)), None)
    if python is None:
        pytest.skip(f"uid {os.geteuid()} finds no CPython {version} in pyenv or on PATH")
    done = subprocess.run(
        [python, "-I", "-B", "-c", USE_EXTENSION, unpacked],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert (done.returncode, done.stdout) == (0, f"{version}\n")
