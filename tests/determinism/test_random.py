"""random_seed: the random numbers that the kernel gives are the same in each run."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandlock import Result, Sandbox
from tests.support.handlers import Answer
from tests.support.processes import open_fds
from tests.support.programs import compiler
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

DEVICES = ["/dev/random", "/dev/urandom"]

EVERYTHING = """
import ctypes, os, random, secrets, tempfile, uuid
print(os.urandom(8).hex(), uuid.uuid4(), random.random(), secrets.token_hex(4), hash("x"))
for device in ("/dev/random", "/dev/urandom", "/dev/../dev/urandom"):
    with open(device, "rb", buffering=0) as file:
        print(file.read(16).hex(), file.read(5).hex())
os.chdir("/dev")
print(os.read(os.open("urandom", os.O_RDONLY | os.O_NONBLOCK), 10).hex())
libc = ctypes.CDLL(None)
libc.getauxval.restype = ctypes.c_ulong
print(ctypes.string_at(libc.getauxval(25), 16).hex())
print(next(tempfile._get_candidate_names()))
"""


def box_of(seed: int | None, **fields: Any) -> Sandbox:
    return tool_sandbox([*PYTHON_PATHS, *DEVICES], random_seed=seed, **fields)


def run(script: str, seed: int | None = 1, **options: Any) -> Result:
    return box_of(seed).run([sys.executable, "-c", script], check=True, **options)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_two_runs_are_equal(seed: int) -> None:
    assert run(EVERYTHING, seed).stdout == run(EVERYTHING, seed).stdout


def test_seeds_differ() -> None:
    lines = [run(EVERYTHING, seed).stdout.splitlines() for seed in (1, 2, None)]
    for others in zip(*lines):
        assert len(set(others)) == 3


def test_numbers_of_one_run_differ() -> None:
    script = "import os\nfor _ in range(1000): print(os.urandom(16).hex())"
    assert len(set(run(script).stdout.split())) == 1000


def test_processes_have_numbers_of_their_own() -> None:
    number = [sys.executable, "-c", "import os; print(os.urandom(8).hex())"]
    command = ["sh", "-c", '"$@"; "$@" | cat; "$@"', "sh", *number]
    first = box_of(1).run(command, check=True).stdout
    assert box_of(1).run(command, check=True).stdout == first
    assert len(set(first.split())) == 3


def test_threads_do_not_disturb_each_other() -> None:
    """Each thread's numbers are its own, whatever the others ask for meanwhile."""
    script = """if True:
        import os, threading
        def draw(name):
            lines.append((name, [os.urandom(8).hex() for _ in range(200)]))
        lines, started = [], []
        for name in range(4):
            threads = threading.Thread(target=lambda: (first.append(os.urandom(8).hex()), draw(name)))
            first = []
            threads.start()
            while not first: pass
            started.append(threads)
            threads.join() if name == 3 else None
        for thread in started: thread.join()
        print(sorted(numbers for _, numbers in lines))
    """
    assert run(script).stdout == run(script).stdout


def test_calls_fail_as_the_kernels_do() -> None:
    script = """if True:
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        def getrandom(address, length, flags):
            result = libc.getrandom(ctypes.c_void_p(address), ctypes.c_size_t(length), flags)
            return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
        memory = ctypes.create_string_buffer(100_000)
        here = ctypes.addressof(memory)
        print(getrandom(here, 100_000, 0), getrandom(here, 0, 0), getrandom(8, 8, 0), getrandom(here, 8, 8),
            getrandom(here, 8, 6), getrandom(here, 8, 4), getrandom(here, 8, 3))
        print(memory.raw[-32:] != bytes(32))
    """
    for seed in (1, None):
        assert run(script, seed).stdout == b"100000 0 EFAULT EINVAL EINVAL 8 8\nTrue\n"


def test_the_vdso_gives_nothing() -> None:
    """Linux 6.11 has a function there for libraries that know it."""
    script = """if True:
        import ctypes, errno, os
        vdso = ctypes.CDLL("linux-vdso.so.1", mode=os.RTLD_NOLOAD)
        try:
            getrandom = vdso.__vdso_getrandom
        except AttributeError:
            getrandom = None
        parameters = ctypes.create_string_buffer(256)
        print(getrandom and getrandom(None, 0, 0, parameters, ctypes.c_size_t(-1)))
    """
    bare = run(script, None).stdout.strip()
    if bare == b"None":
        pytest.skip("this kernel's vDSO has no getrandom (Linux 6.11)")
    assert bare == b"0"
    assert run(script).stdout.strip() == b"%d" % -errno.ENOSYS


def test_static_programs(tmp_path: Path) -> None:
    if compiler() is None:
        pytest.skip("gcc is not on PATH")
    source = tmp_path / "vector.c"
    source.write_text(
        "#include <stdio.h>\n#include <sys/auxv.h>\n"
        'int main(void) { unsigned long *p = (void *)getauxval(AT_RANDOM); printf("%lx %lx\\n", p[0], p[1]); }\n'
    )
    program = tmp_path / "vector"
    subprocess.run(["gcc", "-static", "-o", program, source], check=True, timeout=60)
    outputs = [tool_sandbox([program], random_seed=seed).run([program], check=True).stdout for seed in (1, 1, 2)]
    assert outputs[0] == outputs[1] != outputs[2]


def test_the_policy_decides_about_the_devices() -> None:
    box = tool_sandbox(["/dev/random"], random_seed=1)
    result = box.run(["sh", "-c", "head -c 8 /dev/random | wc -c; cat /dev/urandom"])
    assert result.stdout == b"8\n"
    assert b"/dev/urandom: Permission denied" in result.stderr


def test_other_files_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "urandom").write_text("a file")
    box = tool_sandbox([tmp_path], random_seed=1, cwd=tmp_path)
    assert box.run(["cat", "urandom", tmp_path / "urandom"], check=True).stdout == b"a file" * 2
    assert box.run(["cat", "random"]).exit_code == 1


def test_devices_have_no_end_and_leave_nothing() -> None:
    before = open_fds()
    script = "head -c 3000000 /dev/urandom | cksum; sleep 1000 < /dev/urandom & exec cat /dev/null"
    outputs = [box_of(1).run(["sh", "-c", script], check=True).stdout for _ in range(2)]
    assert outputs[0] == outputs[1]
    assert outputs[0].split()[1] == b"3000000"
    assert open_fds() <= before


def test_devices_are_bounded() -> None:
    script = """if True:
        import errno, os
        fds = []
        try:
            for _ in range(200): fds.append(os.open("/dev/urandom", os.O_RDONLY))
        except OSError as error:
            print(len(fds), error.errno == errno.ENFILE)
    """
    assert run(script).stdout == b"64 True\n"


def test_handlers_cannot_override_it() -> None:
    handler = Answer()
    script = "import os; print(os.urandom(8).hex())"
    handlers = [(name, handler) for name in ("getrandom", "brk", "openat")]
    assert run(script, handlers=handlers).stdout == run(script).stdout
    assert handler.calls  # of openat, and of brk
