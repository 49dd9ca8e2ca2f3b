"""Victims, and a program that makes one system call."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.call import Argument, Attempt, Called, arguments, call
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def attempt(program: Program) -> Attempt:
    """Make a system call in a sandbox that may read /proc as well."""
    path = program("call")
    box = tool_sandbox([path, "/proc"])

    def make(syscall: str, *args: Argument) -> Called:
        return call(box, path, syscall, *args)

    return make


@pytest.fixture
def bare_attempt(program: Program) -> Attempt:
    """Make a system call without a sandbox: proves that the attempt is one that would succeed."""
    path = program("call")

    def make(syscall: str, *args: Argument) -> Called:
        done = subprocess.run(arguments(path, syscall, *args), capture_output=True, check=True, timeout=60)
        return Called(*map(int, done.stdout.split()))

    return make


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user outside of the sandbox, with a secret in its environment."""
    process = subprocess.Popen(
        ["sh", "-c", "echo; read line"],
        env={"SECRET": "s3cret", "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()  # Popen returns a moment before /proc shows the environment
        yield process
        process.kill()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no sandbox is granted."""
    path = tmp_path / "secret"
    path.write_text("s3cret")
    return path
