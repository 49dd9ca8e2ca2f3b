"""The layout of the command's memory, and its huge pages."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

PR_GET_THP_DISABLE = 42


def huge_pages_disabled() -> int:
    """Return what prctl(2) says of this process."""
    return int(ctypes.CDLL(None).prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0))


def layouts(runs: int, no_randomize_memory: bool, uid: int | None = None) -> set[bytes]:
    box = tool_sandbox(["/proc"], no_randomize_memory=no_randomize_memory, uid=uid, gid=uid)
    return {box.run(["cat", "/proc/self/maps"], check=True).stdout for _ in range(runs)}


def test_addresses_are_the_same_in_each_run() -> None:
    assert len(layouts(5, no_randomize_memory=True)) == 1
    assert len(layouts(5, no_randomize_memory=False)) > 1


@pytest.mark.parametrize("uid", [0, 1000])
def test_addresses_in_a_user_namespace(uid: int) -> None:
    assert len(layouts(3, no_randomize_memory=True, uid=uid)) == 1


def test_addresses_of_a_shells_children() -> None:
    box = tool_sandbox(["/proc"], no_randomize_memory=True)
    command = ["sh", "-c", "cat /proc/self/maps; echo; cat /proc/self/maps; true"]
    first, second = box.run(command, check=True).stdout.split(b"\n\n")
    assert first.strip() == second.strip()


def test_the_host_goes_on_as_it_was() -> None:
    before = Path("/proc/self/personality").read_bytes(), huge_pages_disabled()
    tool_sandbox(no_randomize_memory=True, no_huge_pages=True).run(["true"], check=True)
    assert (Path("/proc/self/personality").read_bytes(), huge_pages_disabled()) == before


def test_no_huge_pages() -> None:
    script = f"import ctypes; print(ctypes.CDLL(None).prctl({PR_GET_THP_DISABLE}, 0, 0, 0, 0))"
    for wish in (True, False):
        box = tool_sandbox(PYTHON_PATHS, no_huge_pages=wish)
        grandchild = ["sh", "-c", '"$@" && true', "sh", sys.executable, "-c", script]
        assert box.run(grandchild, check=True).stdout == b"%d\n" % wish


def test_output_and_handlers_work_beside_it(tmp_path: Path) -> None:
    box = tool_sandbox(no_huge_pages=True, uid=1000, gid=1000)
    result = box.run(["sh", "-c", "cat; exit 3"], input=b"text")
    assert (result.stdout, result.exit_code) == (b"text", 3)
    assert tool_sandbox(no_huge_pages=True).run([tmp_path / "missing"]).exit_code == 127
