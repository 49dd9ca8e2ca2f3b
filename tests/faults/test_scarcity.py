"""A host, or a command, that is out of descriptors, memory, processes or disk space.

A run then works or is an error that says what there is too little of, and nothing of it is left.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandlock import NotifAction
from tests.support.handlers import Do
from tests.support.processes import PATIENCE, host_command, host_environment, marked, run_host
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.scenarios import SCENARIOS

# Has its runs try with little, then with more, until they work.
HOST = """
    import gc, os, resource, sys, threading
    from pathlib import Path
    from sandlock import SandlockError
    from tests.support.processes import children, open_fds
    from tests.support.scenarios import SCENARIOS

    scenario = SCENARIOS[sys.argv[1]]

    def fails(*texts):
        '''Runs the scenario; says whether it failed, as it may, with one of these texts.'''
        try:
            result = scenario("")
        except (SandlockError, OSError, MemoryError) as error:
            told = repr(error).lower()
            if not any(text in told for text in texts) and not isinstance(error, MemoryError):
                print("an error that does not say why:", told)
            return True
        finally:
            gc.collect()  # of an event loop that could not be made
        return not result.success

    def state():
        gc.collect()
        return open_fds(), children(), {thread.name for thread in threading.enumerate()}

    for _ in range(2):
        assert not fails()
    before = state()
"""

DESCRIPTORS = """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held, most = [], 120
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    short = enough = 0
    while enough < 3:
        os.close(held.pop())
        failed = fails("too many open files", "cannot allocate memory")
        short, enough = short + failed, 0 if failed else enough + 1
    for fd in held:
        os.close(fd)
    print("with", short, "fewer descriptors it fails")
    if state() != before:
        print("left:", before, state())
    if fails() or not short:
        print("it fails with enough")
"""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_number_of_descriptors(scenario: str) -> None:
    done = run_host(HOST + DESCRIPTORS, scenario)
    told = done.stdout.splitlines()
    assert len(told) == 1, done.stdout + done.stderr
    print(scenario, told[0], sep=": ")


KILL_WITHOUT_DESCRIPTORS = """
    import contextlib, os, resource
    from sandlock import NotifAction, SandlockError
    from tests.support.handlers import Do
    from tests.support.sandboxes import tool_sandbox

    box, held = tool_sandbox(), []
    box.run(["true"], handlers=[("umask", Do(lambda ctx: NotifAction.continue_()))])

    def kill(ctx):
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        return NotifAction.kill(pid=ctx.pid)

    try:
        result = box.run(["sh", "-c", "umask; echo alive"], handlers=[("umask", Do(kill))], timeout=60)
        errors = [type(failure.exception).__name__ for failure in result.handler_errors]
        print(result.reason.name, result.stdout, errors)
    finally:
        for fd in held:
            os.close(fd)
    print(box.run(["echo", "again"]).stdout)
"""


def test_a_kill_without_a_descriptor() -> None:
    """What is to be killed is killed, if need be with its tree."""
    done = run_host(KILL_WITHOUT_DESCRIPTORS)
    assert done.stdout == "KILLED b'' ['NotifError']\nb'again\\n'\n", done.stderr


MEMORY = """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used, short = pages * os.sysconf("SC_PAGE_SIZE"), 0
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    more = int(sys.argv[2]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (used + more, hard))
    short = fails("memory", "can't start new thread", "resource temporarily unavailable")
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    if state()[1:] != before[1:] or len(state()[0]) > len(before[0]):
        print("left:", before, state())
    if fails():
        print("it fails with enough")
    print("over")
"""


@pytest.mark.parametrize("scenario", ["plain", "handlers"])
def test_little_memory_of_the_host(scenario: str) -> None:
    """Where the Go runtime or CPython has none for itself, the host dies; then its tree does, too."""
    outcomes = []
    for more in (64, 1024, 65536):
        marker = f"sandlock-memory-{os.getpid()}-{os.urandom(8).hex()}"
        environment = host_environment(SANDLOCK_TEST_MARKER=marker)
        done = subprocess.run(
            host_command(HOST + MEMORY, scenario, more),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            # pthread_create tells of a lack of memory for the stack by EAGAIN.
            assert any(text in done.stderr.lower() for text in ("memory", "pthread_create failed")), done.stderr
        else:
            assert done.stdout == "over\n", done.stdout + done.stderr
        assert marked(marker) == []
        outcomes.append(done.returncode)
    assert outcomes[-1] == 0


def test_little_memory_of_the_command(tmp_path: Path) -> None:
    """Its own memory is its own matter: the answer to a call that is under way is still given."""
    script = "import os, resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28,) * 2); x = bytearray(1 << 30)"
    asked = []

    def note(ctx: object) -> NotifAction:
        asked.append(ctx)
        return NotifAction.continue_()

    box = tool_sandbox(PYTHON_PATHS)
    result = box.run(["python3", "-c", script], handlers=[("prlimit64", Do(note))], timeout=60)
    assert (result.exit_code, b"MemoryError" in result.stderr) == (1, True)
    assert asked


PROCESSES = """
    limit = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
    fails("resource temporarily unavailable", "can't start new thread", "too many")
    print("over")
"""


def tasks_of_this_user() -> int:
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == os.getuid():
                count += len(os.listdir(folder / "task"))
        except OSError:
            continue
    return count


@pytest.mark.skipif(os.geteuid() == 0, reason="the kernel does not count the processes of root (RLIMIT_NPROC)")
@pytest.mark.parametrize("scenario", ["plain", "handlers", "pipeline"])
def test_few_processes(scenario: str) -> None:
    """The Go runtime dies when it gets no thread; what the host has started dies with it."""
    for more in range(0, 24, 6):
        marker = f"sandlock-processes-{os.getpid()}-{os.urandom(8).hex()}"
        done = subprocess.run(
            host_command(HOST + PROCESSES, scenario, tasks_of_this_user() + more),
            env=host_environment(SANDLOCK_TEST_MARKER=marker),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if done.returncode != 0:
            assert "resource temporarily unavailable" in done.stderr.lower() or "thread" in done.stderr, done.stderr
        else:
            assert done.stdout == "over\n", done.stdout + done.stderr
        assert marked(marker) == []


FILES = """
    import resource, signal
    from sandlock import NotifAction, SandlockError
    from tests.support.handlers import Answer, Do
    from tests.support.sandboxes import tool_sandbox

    box = tool_sandbox()
    run = ["sh", "-c", "umask; cat /etc/hostname"]
    box.run(["true"], handlers=[("umask", Answer())])
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    try:
        box.run(run, handlers=[("umask", Answer())])
    except SandlockError as error:
        print("frame:", error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def give(ctx):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        return NotifAction.inject_bytes(bytes(10_000))

    result = box.run(run, handlers=[("umask", Do(give))])
    print(result.signal, [type(failure.exception).__name__ for failure in result.handler_errors])
    print(len(box.run(["sh", "-c", "yes | head -c 100000"]).stdout))
"""


def test_no_room_for_files_in_memory() -> None:
    """The frame that is shared with Python, and a file that is given to the command. Captured output is no file."""
    done = run_host(FILES)
    assert done.stdout.splitlines() == ["frame: size the frame: file too large", "9 ['OSError']", "100000"], done.stderr
