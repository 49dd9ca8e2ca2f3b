"""Importing the package is cheap; the first use loads the Go runtime."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import sandlock
from tests.support.processes import PATIENCE, host_environment, run_host

CHEAP = """
    import os, sys
    import sandlock, sandlock.handler
    class Quiet(sandlock.Handler):
        pass
    sandbox = sandlock.Sandbox(fs_readable=["/usr"], on_exception={OSError: sandlock.NotifAction.errno(5)})
    Quiet(), sandlock.NotifAction.kill(), sandlock.min_landlock_abi()
    print("sandlock._core" in sys.modules, len(os.listdir("/proc/self/task")))
    sandbox.run(["/bin/true"])
    print("sandlock._core" in sys.modules, len(os.listdir("/proc/self/task")) > 1)
"""


ALONE = """
    import sys
    before = set(sys.modules)
    import sandlock
    print(sorted(set(sys.modules) - before - {"__future__"}))
    print(sandlock.handler.Handler is sandlock.Handler, "Sandbox" in dir(sandlock), hasattr(sandlock, "nothing"))
"""


def test_import_loads_nothing() -> None:
    done = run_host(ALONE)
    assert done.stdout.splitlines() == ["['sandlock', 'sandlock._version']", "True True False"], done.stderr


def test_import_does_not_load_the_extension() -> None:
    done = run_host(CHEAP)
    assert done.stdout.splitlines() == ["False 1", "True True"], done.stderr


AGAIN = """
    import importlib, sys
    import sandlock
    before = sandlock.landlock_abi_version()
    for name in [name for name in sys.modules if name.partition(".")[0] == "sandlock"]:
        del sys.modules[name]
    again = importlib.import_module("sandlock")
    print(again is sandlock, again.landlock_abi_version() == before)
    print(again.Sandbox(fs_readable=["/usr", "/lib", "/lib64", "/bin", "/etc"]).run(["/bin/true"]).success)
"""


def test_import_again() -> None:
    done = run_host(AGAIN)
    assert done.stdout.splitlines() == ["False True", "True"], done.stderr


GONE = """
    import os, sys
    os.chdir(sys.argv[1])
    os.rmdir(sys.argv[1])
    import sandlock
    print(sandlock.landlock_abi_version())
    try:
        print(os.getcwd())
    except FileNotFoundError:
        print("still gone")
"""


def test_import_where_the_working_directory_is_gone(tmp_path: Path) -> None:
    folder, script = tmp_path / "gone", tmp_path / "script.py"
    folder.mkdir()
    script.write_text(textwrap.dedent(GONE))  # CPython 3.13.0 cannot import socket there in what -c gives
    done = subprocess.run(
        [sys.executable, script, folder],
        env=host_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stdout.splitlines() == [str(sandlock.landlock_abi_version()), "still gone"], done.stderr


FIRST_USE = """
    import os, sys
    before = os.getcwd(), dict(os.environ), sys.path[:], os.umask(0o22), sys.getswitchinterval()
    os.umask(before[3])
    import sandlock
    sandlock.landlock_abi_version()
    after = os.getcwd(), dict(os.environ), sys.path[:], os.umask(0o22), sys.getswitchinterval()
    print(before == after)
"""


def test_first_use_changes_nothing_of_the_host() -> None:
    assert run_host(FIRST_USE).stdout == "True\n"


def test_landlock_abi() -> None:
    assert sandlock.landlock_abi_version() >= sandlock.min_landlock_abi() == 6


def test_every_name_of_the_package_is_there() -> None:
    for name in sandlock.__all__:
        assert getattr(sandlock, name) is not None


def test_what_most_need_not_is_not_imported() -> None:
    script = """
    import sys, sandlock, sandlock.presets
    sandlock.Sandbox, sandlock.confine
    print(sorted({"asyncio", "ctypes"} & sys.modules.keys()))
    """
    assert run_host(script).stdout == "[]\n"
