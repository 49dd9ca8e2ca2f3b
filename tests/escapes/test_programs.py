"""Every way to execute a program leads to files that may be executed, and none out of the domain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.acts import AT_FDCWD, Back, act
from tests.support.programs import Program, compiler
from tests.support.sandboxes import PYTHON_PATHS, SYSTEM_PATHS, tool_sandbox

AT_EMPTY_PATH, O_PATH = 0x1000, os.O_PATH


@pytest.fixture
def outside(program: Program, tmp_path: Path) -> Path:
    """A program in a folder that is not granted."""
    return Path(shutil.copy(program("fds"), tmp_path / "outside"))


def test_a_program_that_is_not_granted(program: Program, outside: Path) -> None:
    """By path, by a descriptor that only names it, and by the links of that in /proc."""
    acts = program("acts")
    empty = bytes(8)
    done = act(
        tool_sandbox([acts, "/proc"]),
        acts,
        [
            ("openat", AT_FDCWD, str(outside), O_PATH),
            ("execveat", Back(1), "", empty, empty, AT_EMPTY_PATH),
            ("execveat", AT_FDCWD, str(outside), empty, empty, 0),
            ("execve", "/proc/self/fd/3", empty, empty),
            ("execve", str(outside), empty, empty),
        ],
    )
    assert [step.error for step in done] == ["", *["EACCES"] * 4]


# Executes what is in memory, by descriptor and without a name.
MEMORY = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
fd = os.memfd_create("program", os.MFD_CLOEXEC)
os.write(fd, open("/bin/cat", "rb").read())
arguments = (ctypes.c_char_p * 3)(b"cat", os.fsencode(sys.argv[1]), None)
libc.execveat.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
libc.execveat(fd, b"", arguments, (ctypes.c_char_p * 1)(None), 0x1000)
sys.exit("not executed")
"""


def test_a_program_in_memory_is_as_confined(secret: Path) -> None:
    """Landlock has no rules for it, and it is no way out: domain and filter stay."""
    result = tool_sandbox(PYTHON_PATHS).run([sys.executable, "-Ic", MEMORY, secret], timeout=60)
    assert (result.exit_code, result.stdout) == (1, b"")
    assert b"Permission denied" in result.stderr


def loader() -> str:
    """Return the path of ld.so."""
    words = subprocess.run(["ldd", "/bin/cat"], capture_output=True, check=False, text=True).stdout.split()
    return next((word for word in words if "/ld-" in word), "")


@pytest.fixture
def ld_so() -> str:
    if not loader():
        pytest.skip("ldd does not tell where ld.so is")
    return loader()


def test_ld_so_loads_what_may_be_read_and_no_more(ld_so: str, outside: Path, tmp_path: Path, secret: Path) -> None:
    """To read is to execute, with the mode or without; what runs so is as confined as its loader."""
    inside = tmp_path / "inside"
    shutil.copy("/bin/cat", inside)
    inside.chmod(0o600)
    box = tool_sandbox([inside, ld_so])
    assert not box.run([ld_so, outside], timeout=60).success
    refused = box.run([ld_so, inside, secret], timeout=60)
    assert b"Permission denied" in refused.stderr
    assert refused.stdout == b""
    assert box.run([ld_so, inside, "/etc/hostname"], timeout=60).stdout == Path("/etc/hostname").read_bytes()


PRELOADED = """
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { write(1, "loaded\\n", 7); }
"""


def test_ld_preload(tmp_path: Path) -> None:
    """A library has to be readable, and is as confined as the program that loads it."""
    if compiler() is None:
        pytest.skip("gcc is not on PATH")
    library = tmp_path / "library.so"
    command = [str(compiler()), "-shared", "-fPIC", "-x", "c", "-o", str(library), "-"]
    subprocess.run(command, input=PRELOADED.encode(), check=True, timeout=60)
    for readable, told in (([], b""), ([library], b"loaded\n")):
        box = tool_sandbox(readable, env={"LD_PRELOAD": str(library)})
        assert box.run(["cat", "/dev/null"], timeout=60).stdout == told


def test_an_empty_policy_executes_nothing(outside: Path) -> None:
    assert SYSTEM_PATHS
    result = tool_sandbox().run([outside], timeout=60)
    assert (result.success, result.exit_code) == (False, 127)
