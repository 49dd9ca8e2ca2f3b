"""A command that crashes leaves no copy of its memory behind, whatever core_pattern(5) says."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.sandboxes import tool_sandbox

CRASH = ["sh", "-c", "kill -SEGV $$"]


def test_none_is_written(tmp_path: Path) -> None:
    bare, inside = tmp_path / "bare", tmp_path / "inside"
    bare.mkdir()
    inside.mkdir()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    subprocess.run(
        CRASH, cwd=bare, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    )
    if not any(bare.iterdir()):
        pytest.skip("/proc/sys/kernel/core_pattern or the host's limit keeps core dumps out of the working folder")
    result = tool_sandbox(writable=[inside], cwd=inside).run(CRASH, timeout=60)
    assert result.signal == signal.SIGSEGV
    assert not any(inside.iterdir())


def test_the_limit_cannot_be_raised() -> None:
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not on PATH")
    box = tool_sandbox()
    # 1 keeps even the programs away that core_pattern pipes to: see fs/coredump.c.
    assert box.run(["prlimit", "--core", "--raw", "--noheadings", "-o", "SOFT,HARD"]).stdout.split() == [b"1", b"1"]
    assert not box.run(["sh", "-c", "ulimit -c unlimited"]).success
