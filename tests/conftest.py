"""Fixtures for all tests."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import Sandbox
from tests.support.handlers import Answer
from tests.support.processes import PATIENCE, Fifo, MakeFifo, children
from tests.support.programs import Program, compile_program, compiler
from tests.support.sandboxes import tool_sandbox

# Background jobs of a shell ignore these signals, and what is started by nohup. Tests are about what they do.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Give the path of a compiled tests/programs/NAME.c. Each is compiled once."""
    if compiler() is None:
        pytest.skip("gcc is not on PATH")
    folder = tmp_path_factory.mktemp("programs")

    def compiled(name: str) -> Path:
        target = folder / name
        if not target.exists():
            compile_program(name, target)
        return target

    return compiled


@pytest.fixture(scope="session")
def strace(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the path of strace, if it may trace here."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not on PATH")
    log = tmp_path_factory.mktemp("strace") / "log"
    probe = subprocess.run([program, "-f", "-o", log, "true"], capture_output=True, check=False, timeout=PATIENCE)
    if probe.returncode != 0:
        pytest.skip(f"strace does not work here: {probe.stderr.decode().strip()}")
    return program


@pytest.fixture(scope="session", autouse=True)
def _first_use() -> None:
    """Have the Go runtime open what it keeps open, before a test counts descriptors and threads."""
    handler = Answer()
    tool_sandbox().run(["sh", "-c", "umask"], handlers=[("umask", handler)])


@pytest.fixture
def box() -> Sandbox:
    """A sandbox in which the tools of /bin work, and nothing may be written."""
    return tool_sandbox()


@pytest.fixture
def make_fifo(tmp_path: Path) -> Iterator[MakeFifo]:
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
