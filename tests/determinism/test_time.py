"""time_start: the time of day begins anew with each run."""

from __future__ import annotations

import os
import shutil
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sandlock import SandboxError
from tests.support.handlers import Answer
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

START = "2001-02-03T04:05:06Z"
EPOCH = 981173106


def seconds(script: str, start: str | datetime = START) -> list[int]:
    """Return the whole numbers that a script prints, as seconds since the start."""
    box = tool_sandbox(PYTHON_PATHS, time_start=start)
    printed = box.run([sys.executable, "-c", "import ctypes, time, os\n" + script], check=True).stdout
    return [int(number) - EPOCH for number in printed.split()]


def all_at_the_start(numbers: list[int]) -> bool:
    """Say whether all tell the time of the run's first minutes."""
    return bool(numbers) and all(0 <= number < 600 for number in numbers)


@pytest.mark.parametrize(
    "start",
    [
        START,
        "2001-02-03T05:05:06+01:00",
        "2001-02-03T04:05:06.5Z",
        datetime(2001, 2, 3, 4, 5, 6, tzinfo=timezone.utc),
        datetime(2001, 2, 2, 23, 5, 6, tzinfo=timezone(timedelta(hours=-5))),
    ],
    ids=str,
)
def test_ways_to_write_it(start: str | datetime) -> None:
    assert all_at_the_start(seconds("print(int(time.time()))", start))


def test_every_clock_of_the_time_of_day() -> None:
    script = """if True:
        libc = ctypes.CDLL(None)
        libc.time.restype = ctypes.c_long
        pair = (ctypes.c_long * 2)()
        for clock in (time.CLOCK_REALTIME, 5, time.CLOCK_TAI):  # 5: CLOCK_REALTIME_COARSE
            print(int(time.clock_gettime(clock)))
            libc.syscall(CLOCK_GETTIME, clock, pair)
            print(pair[0])
        print(libc.time(None), libc.time(pair), pair[0])
        zone = (ctypes.c_int * 2)(1, 1)
        libc.gettimeofday(pair, zone)
        print(pair[0])
        assert list(zone) == [0, 0] and pair[1] < 1_000_000
        vdso = ctypes.CDLL("linux-vdso.so.1", mode=os.RTLD_NOLOAD)
        names = "__vdso_clock_gettime", "__kernel_clock_gettime", "__vdso_gettimeofday", "__kernel_gettimeofday"
        for name in names:
            if hasattr(vdso, name):
                getattr(vdso, name)(*((0, pair) if "clock" in name else (pair, None)))
                print(pair[0])
    """
    numbers = seconds(script.replace("CLOCK_GETTIME", "228" if os.uname().machine == "x86_64" else "113"))
    assert len(numbers) == 12
    assert all_at_the_start(numbers)


def test_it_runs_on() -> None:
    script = """if True:
        first, since = time.time(), time.monotonic()
        while time.time() - first < 0.05: pass
        assert time.monotonic() - since > 0.04
        print(int(time.time()))
    """
    assert all_at_the_start(seconds(script))


def test_programs_of_all_kinds() -> None:
    box = tool_sandbox(time_start=START, env={"TZ": "UTC"})
    shown = box.run(["sh", "-c", "date +%F; sh -c 'date +%H:%M; true'"], check=True).stdout
    assert shown == b"2001-02-03\n04:05\n"


def test_other_clocks_are_the_kernels() -> None:
    box = tool_sandbox(PYTHON_PATHS, time_start=START)
    before = time.monotonic()
    script = "import time; print(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME) >= time.monotonic() - 1)"
    monotonic, boot = box.run([sys.executable, "-c", script], check=True).stdout.split()
    assert before <= float(monotonic) <= time.monotonic()
    assert boot == b"True"


def test_the_host_goes_on_as_it_was() -> None:
    before = time.time()
    seconds("print(int(time.time()))")
    assert time.time() >= before
    assert abs(time.time() - datetime.now(timezone.utc).timestamp()) < 60


def test_calls_fail_as_the_kernels_do() -> None:
    script = """if True:
        import ctypes, errno, os
        libc = ctypes.CDLL(None, use_errno=True)
        numbers = (228, 96, 201) if os.uname().machine == "x86_64" else (113, 169)
        def call(number, *args):
            result = libc.syscall(number, *map(ctypes.c_void_p, args))
            return result if result >= 0 else errno.errorcode[ctypes.get_errno()]
        print(call(numbers[0], 0, 8), call(numbers[0], 0, 0), call(numbers[0], 99, 8), call(numbers[1], 8, 0),
            call(numbers[1], 0, 8), call(numbers[1], 0, 0), *[call(n, 8) for n in numbers[2:]])
    """
    box = tool_sandbox(PYTHON_PATHS)
    bare = box.run([sys.executable, "-c", script], check=True).stdout
    box.time_start = START
    assert box.run([sys.executable, "-c", script], check=True).stdout == bare


def test_handlers_cannot_override_it() -> None:
    handler = Answer()
    box = tool_sandbox(PYTHON_PATHS, time_start=START)
    handlers = [("clock_gettime", handler), ("set_tid_address", handler)]
    script = "import time; time.monotonic(); print(int(time.time()))"
    result = box.run([sys.executable, "-c", script], handlers=handlers, check=True)
    assert all_at_the_start([int(result.stdout) - EPOCH])
    assert handler.calls  # of the monotonic clock


def test_two_runs_are_byte_identical() -> None:
    """With everything that determinism offers, a script that prints all of it prints the same."""
    script = """if True:
        import ctypes, os, random, time, uuid
        print(uuid.uuid4(), random.random(), hash("x"), os.urandom(4), open("/dev/urandom", "rb").read(4))
        print(time.strftime("%F %H"), os.listdir("/usr/bin"), id(object()), id(ctypes.CDLL(None)))
        print(open("/proc/self/maps").read())
    """
    box = tool_sandbox(
        [*PYTHON_PATHS, "/proc", "/dev/urandom"],
        random_seed=7,
        time_start=START,
        deterministic_dirs=True,
        no_randomize_memory=True,
        no_huge_pages=True,
    )
    first, second = (box.run([sys.executable, "-c", script], check=True).stdout for _ in range(2))
    assert first == second


def test_signals_do_not_disturb_a_clock() -> None:
    """A handler that does not restart system calls interrupts trapped ones; reading a clock never fails otherwise."""
    script = """if True:
        import signal, time
        seen = []
        signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        last = time.time()
        while len(seen) < 2000:
            now = time.time()
            assert last <= now < last + 60
            last = now
        print("done")
    """
    box = tool_sandbox(PYTHON_PATHS, time_start=START)
    result = box.run([sys.executable, "-c", script], timeout=60)
    assert result.stdout == b"done\n", result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file, and may trace every program")
@pytest.mark.parametrize("fields", [{"time_start": START}, {"random_seed": 1}])
def test_a_program_that_cannot_be_changed_is_killed(tmp_path: Path, fields: dict[str, Any]) -> None:
    """The kernel lets nobody look into a program whose file may not be read."""
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    program.chmod(0o111)
    assert tool_sandbox([tmp_path]).run([program]).success
    with pytest.raises(SandboxError, match=r"make a program deterministic.*auxiliary vector"):
        tool_sandbox([tmp_path], **fields).run([program])
