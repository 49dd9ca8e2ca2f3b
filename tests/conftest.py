"""Fixtures for all tests."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest

from sandlock import Sandbox
from tests.support.processes import Fifo, children
from tests.support.sandboxes import tool_sandbox

PROGRAMS = Path(__file__).parent / "programs"

Program = Callable[[str], Path]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Give the path of a compiled tests/programs/NAME.c. Each is compiled once."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is not on PATH")
    folder = tmp_path_factory.mktemp("programs")

    def compiled(name: str) -> Path:
        target = folder / name
        if not target.exists():
            options = ["-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
            subprocess.run([gcc, *options, "-o", target, PROGRAMS / f"{name}.c"], check=True, timeout=60)
        return target

    return compiled


@pytest.fixture
def box() -> Sandbox:
    """A sandbox in which the tools of /bin work, and nothing may be written."""
    return tool_sandbox()


@pytest.fixture
def make_fifo(tmp_path: Path) -> Iterator[Callable[[str], Fifo]]:
    """Make named pipes in the test's folder."""
    made: list[Fifo] = []

    def make(name: str) -> Fifo:
        made.append(Fifo(tmp_path / name))
        return made[-1]

    yield make
    for fifo in made:
        fifo.close()


@pytest.fixture(autouse=True)
def _leaves_no_process() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before
