"""A host that is confined itself: by a sandbox, or by filters as those of containers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from sandlock import Sandbox
from tests.support.handlers import Answer
from tests.support.processes import ROOT, host_command, host_environment, run_host
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

# A filter that answers a list of system calls with an errno; see prctl(2) and seccomp(2).
FILTER = """
    import ctypes, errno, os, struct
    libc = ctypes.CDLL(None, use_errno=True)

    def restrict(answers, masked=()):
        load, jump_equal, jump_set, ret = 0x20, 0x15, 0x45, 0x06
        code = []
        for number, error in answers.items():
            code += [(load, 0, 0, 0), (jump_equal, 0, 1, number), (ret, 0, 0, 0x50000 | error)]
        for number, flags, error in masked:
            code += [(load, 0, 0, 0), (jump_equal, 0, 3, number), (load, 0, 0, 16), (jump_set, 0, 1, flags),
                     (ret, 0, 0, 0x50000 | error)]
        code.append((ret, 0, 0, 0x7FFF0000))
        text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(text)))
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        assert libc.prctl(22, 2, program) == 0
"""

# As the default profile of container runtimes, for a user without capabilities.
CONTAINER = """
    from sandlock._syscalls import number_of
    names = {"clone3": errno.ENOSYS}
    names |= dict.fromkeys("unshare setns mount umount2 pivot_root chroot bpf perf_event_open userfaultfd keyctl "
                           "add_key request_key open_by_handle_at io_uring_setup io_uring_enter io_uring_register "
                           "acct reboot swapon settimeofday fsopen move_mount".split(), errno.EPERM)
    namespaces = 0x7E020000
    answers = {number_of(name): error for name, error in names.items()}
    restrict(answers, [(number_of("clone"), namespaces, errno.EPERM)])
"""

SERVER = """
    import asyncio, threading
    from sandlock import Handler, NotifAction
    from tests.support.sandboxes import tool_sandbox

    class Answer(Handler):
        def __init__(self, value): self.value = value
        def handle(self, ctx): return NotifAction.returns(self.value)

    async def serve(number):
        box = tool_sandbox(net_allow=["tcp://127.0.0.1:9"], max_processes=10)
        script = "umask; (:); cat /etc/hostname | wc -l"
        result = await box.arun(["sh", "-c", script], handlers=[("umask", Answer(number))])
        return result.stdout.split()

    async def main():
        # Threads that come and go, as those of a server do.
        threads = [threading.Thread(target=lambda: tool_sandbox().run(["true"], check=True)) for _ in range(4)]
        for thread in threads: thread.start()
        print(await asyncio.gather(*(serve(number) for number in range(1, 5))))
        for thread in threads: thread.join()

    asyncio.run(main())
"""


def test_a_server_in_a_container() -> None:
    """No namespaces, no clone3, no new privileges, and threads of its own."""
    done = run_host(FILTER + CONTAINER + SERVER)
    assert done.stdout == f"{[[b'%04d' % number, b'1'] for number in range(1, 5)]}\n", done.stderr


def test_what_a_filter_of_the_host_refuses_is_an_error() -> None:
    """Nothing runs less confined, or unsupervised, because the host may not do something."""
    script = """
    from sandlock._syscalls import number_of
    from sandlock import SandlockError
    from tests.support.sandboxes import tool_sandbox
    tool_sandbox().run(["true"], check=True)
    restrict({number_of(NAME): errno.EPERM})
    try:
        print(tool_sandbox().run(["echo", "ran"]))
    except SandlockError as e:
        print(type(e).__name__)
    """
    for name, error in {
        "seccomp": "SeccompError",
        "landlock_restrict_self": "ConfinementError",
        "landlock_create_ruleset": "LandlockUnavailableError",
        "landlock_add_rule": "SandboxError",
        "close_range": "SandboxError",
    }.items():
        done = run_host(FILTER + script.replace("NAME", repr(name)))
        assert done.stdout == f"{error}\n", (name, done.stdout, done.stderr)


INNER = """
    import sys
    from sandlock import Handler, NotifAction
    from sandlock.exceptions import SandlockError
    from tests.support.sandboxes import tool_sandbox

    secret, handlers = sys.argv[1], sys.argv[2] == "handlers"

    class Answer(Handler):
        def handle(self, ctx): return NotifAction.returns(0o123)

    box = tool_sandbox([secret])
    try:
        result = box.run(["sh", "-c", 'umask; cat "$0"; kill -0 "$1"', secret, sys.argv[3]],
                         handlers=[("umask", Answer())] if handlers else ())
        print(result.stdout.split(), b"ermission denied" in result.stderr, b"not permitted" in result.stderr)
    except SandlockError as e:
        print(e)
"""


def outer_sandbox(*readable: str) -> Sandbox:
    """A sandbox in which the tests and the package can be imported."""
    package = importlib.util.find_spec("sandlock")
    assert package is not None
    assert package.origin is not None
    return tool_sandbox([*PYTHON_PATHS, ROOT, Path(package.origin).parents[1], *readable], env=host_environment())


def nested(secret: Path, inner: bool, outer: bool) -> bytes:
    box = outer_sandbox("/proc")
    command = host_command(INNER, secret, "handlers" if inner else "none", 1, python=[sys.executable])
    result = box.run(command, handlers=[("umask", Answer())] if outer else (), timeout=60)
    assert result.success, result.stderr
    return result.stdout


@pytest.mark.parametrize("inner", [False, True], ids=["", "inner handlers"])
@pytest.mark.parametrize("outer", [False, True], ids=["", "outer handlers"])
def test_a_sandbox_in_a_sandbox(secret: Path, inner: bool, outer: bool) -> None:
    """The inner one grants nothing that the outer one has not. Only one of them can have handlers."""
    told = nested(secret, inner, outer)
    if inner and outer:
        assert b"listener" in told, told
    elif inner:
        assert told == b"[b'0123'] True True\n"
    else:
        assert told.endswith(b"] True True\n"), told


HIDDEN = """
    from sandlock import Handler, NotifAction
    from tests.support.sandboxes import tool_sandbox

    class Echo(Handler):
        def handle(self, ctx):
            return NotifAction.returns(len(ctx.read_path() or ""))

    box = tool_sandbox(max_memory="1G", max_processes=10)
    result = box.run(["sh", "-c", "cd /12345; (:); umask"], handlers=[("chdir", Echo())])
    print(result.success, result.handler_errors, result.reason.name)
"""


def test_other_processes_are_hidden_from_the_host() -> None:
    """By hidepid of proc(5): what is beneath the host is its own, and stays in sight."""
    unshare = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--pid", "--fork"]
    mount = 'mount -t proc -o hidepid=2 proc /proc && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
    hidden = [*unshare, "sh", "-c", mount, "sh"]
    try:
        subprocess.run([*hidden, "true"], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespace in which /proc can be mounted, or no unshare and setpriv of util-linux")
    command = [*hidden, *host_command(HIDDEN)]
    done = subprocess.run(command, env=host_environment(), capture_output=True, check=False, timeout=60)
    assert done.stdout == b"True [] EXITED\n", done.stderr


@pytest.mark.parametrize("limit", ["max_processes=10", "max_memory='100M'", "max_cpu=50", "max_disk='1M'"])
def test_limits_need_proc(limit: str) -> None:
    script = """
    from sandlock import SandlockError
    from tests.support.sandboxes import tool_sandbox
    try:
        tool_sandbox(LIMIT).run(["sleep", "1000"], stdin=None)
    except SandlockError as error:
        print(error)
    """
    result = outer_sandbox().run(host_command(script.replace("LIMIT", limit)), timeout=60)
    assert b"a sandbox that this process is in has to grant it" in result.stdout, result
