"""The extension in the wheel imports and answers in every CPython from 3.9 on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.interpreters import VERSIONS, find_python

USE_EXTENSION = """
import sys
sys.path.insert(0, sys.argv[1])
from sandlock import _core
assert _core.NumHandles() == 0
print("%d.%d" % sys.version_info[:2])
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_imports(version: str, unpacked: Path) -> None:
    done = subprocess.run(
        [find_python(version), "-I", "-B", "-c", USE_EXTENSION, unpacked],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert (done.returncode, done.stdout) == (0, f"{version}\n")
