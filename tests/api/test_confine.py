"""A process that confines itself; each test has one of its own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.processes import run_host

READABLE = """
    import glob, os, sys
    from sandlock import Protection, Sandbox, confine

    system = [path for pattern in ("/usr", "/bin", "/lib*", "/etc/ld.so.cache") for path in glob.glob(pattern)]
    readable = [*system, *filter(os.path.exists, sys.path), sys.prefix, sys.base_prefix]

    def attempt(function, *arguments):
        try:
            made = function(*arguments)
            if hasattr(made, "close"):
                made.close()
            print("done", flush=True)
        except OSError as error:
            print(type(error).__name__, flush=True)
"""


def output(script: str, *arguments: object) -> list[str]:
    """Run a script that begins with READABLE, and return what it prints."""
    done = run_host(READABLE + script, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_files_for_itself_and_what_it_starts(tmp_path: Path) -> None:
    script = """
    import subprocess
    granted, denied = sys.argv[1:]
    confine(Sandbox(fs_readable=readable, fs_writable=[granted, "/dev/null"], fs_denied=[denied]))
    attempt(open, granted + "/free/new", "w")
    attempt(open, denied + "/new", "w")
    attempt(open, "/proc/version")
    print(subprocess.run(["cat", "/proc/version"], stderr=subprocess.DEVNULL).returncode)
    """
    for name in ("free", "denied"):
        (tmp_path / name).mkdir()
    assert output(script, tmp_path, tmp_path / "denied") == ["done", "PermissionError", "PermissionError", "1"]


@pytest.mark.parametrize(
    ("disable", "expected"), [("", ["PermissionError", "PermissionError"]), ("NET_TCP", ["done", "done"])]
)
def test_tcp(disable: str, expected: list[str]) -> None:
    script = """
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        confine(Sandbox(fs_readable=readable, disable=[Protection[name] for name in sys.argv[1].split()]))
        attempt(socket.create_connection, server.getsockname())
        attempt(socket.create_server, ("127.0.0.1", 0))
    """
    assert output(script, disable) == expected


def test_signals_stay_inside() -> None:
    script = """
    import signal, subprocess
    confine(Sandbox(fs_readable=readable))
    inside = subprocess.Popen(["sleep", "60"])
    attempt(os.kill, os.getppid(), signal.SIGCONT)
    attempt(inside.kill)
    print(inside.wait())
    """
    assert output(script) == ["PermissionError", "done", str(-signal.SIGKILL)]


def test_no_new_privileges() -> None:
    script = """
    import ctypes
    confine(Sandbox(fs_readable=readable))
    print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))  # PR_GET_NO_NEW_PRIVS
    """
    assert output(script) == ["1"]


def test_sandboxes_of_a_confined_process() -> None:
    """They work, with a handler as well, and reach no more than the process."""
    script = """
    confine(Sandbox(fs_readable=readable, fs_writable=["/dev/null"]))
    from tests.support.handlers import Answer
    handler = Answer()
    result = Sandbox(fs_readable=readable).run(["sh", "-c", "umask; cat /etc/passwd"], handlers=[("umask", handler)])
    print(result.exit_code, len(result.stdout), b"Permission denied" in result.stderr)
    """
    assert output(script) == ["1 5 True"]


def test_nothing_is_left_of_making_the_ruleset() -> None:
    script = """
    from tests.support.processes import children, open_fds
    before = open_fds()
    confine(Sandbox(fs_readable=[*readable, "/proc"]))
    print(open_fds() == before, children(), len(os.listdir("/proc/self/task")))
    """
    assert output(script) == ["True set() 1"]


def test_where_sigchld_is_ignored() -> None:
    script = """
    import signal
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    confine(Sandbox(fs_readable=readable))
    attempt(open, "/proc/version")
    """
    assert output(script) == ["PermissionError"]


UNRESTRICTED = """
    attempt(open, "/proc/version")
    print(ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))  # PR_GET_NO_NEW_PRIVS
"""


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "has 2 threads"),
        ("Sandbox(fs_readable=readable).run(['true'], check=True)", "uses sandlock otherwise"),
    ],
)
def test_other_threads_are_refused(before: str, message: str) -> None:
    script = f"""
    import ctypes
    from sandlock import ConfinementError
    {before}
    try:
        confine(Sandbox(fs_readable=readable))
    except ConfinementError as error:
        print(error)
    """
    lines = output(script + UNRESTRICTED)
    assert message in lines[0]
    assert lines[1:] == ["done", "0"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("net_allow=['127.0.0.1:80']", "net_allow: ['127.0.0.1:80'] cannot be enforced by Landlock alone"),
        ("net_allow_bind=[80]", "net_allow_bind: [80] cannot be"),
        ("max_memory='1G'", "max_memory: '1G' cannot be"),
        ("env={'A': 'b'}", "env: {'A': 'b'} cannot be"),
        ("clean_env=True", "clean_env: True cannot be"),
        ("cwd='/'", "cwd: '/' cannot be"),
        ("handler_threads=2", "handler_threads: 2 cannot be"),
        ("policy_fn=print", "policy_fn: <built-in function print> cannot be"),
        ("extra_deny_syscalls=('mkdir',)", "extra_deny_syscalls: ['mkdir'] cannot be"),
        ("fs_readable=['/none']", 'fs_readable: "/none" does not exist'),
        ("fs_readable='/usr'", "fs_readable: '/usr' is no list"),
        ("disable=[Protection.FS_REFER]", 'disable: "FS_REFER" cannot be disabled'),
    ],
)
def test_a_wrong_policy_restricts_nothing(fields: str, message: str) -> None:
    script = f"""
    import ctypes
    from sandlock import PolicyError
    try:
        confine(Sandbox({fields}))
    except PolicyError as error:
        print(error)
    """
    lines = output(script + UNRESTRICTED)
    assert lines[0].startswith(message)
    assert lines[1:] == ["done", "0"]


def test_what_is_no_sandbox() -> None:
    script = """
    try:
        confine({"fs_readable": ["/usr"]})
    except TypeError as error:
        print(error)
    """
    assert output(script) == ["policy must be a Sandbox, not dict"]


def test_empty_lists_in_other_forms() -> None:
    script = """
    confine(Sandbox(fs_readable=tuple(readable), net_allow=(), extra_deny_syscalls=()))
    attempt(open, "/proc/version")
    """
    assert output(script) == ["PermissionError"]
